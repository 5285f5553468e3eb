"""Resuming gives the very parameters of the run that was never stopped."""

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from tiny_runs import run_config, write_dataset

import textxfer_mm.register  # noqa: F401
from textxfer_mm.engine.hooks import EpochSeedHook, epoch_seed
from textxfer_mm.registry import TRANSFORMS

DRAWS = 'draws.txt'


@TRANSFORMS.register_module()
class RecordFlips:
    """Writes whether each sample was flipped, by whichever process."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, results):
        with open(f'{self.folder}/{DRAWS}', 'a') as file:
            file.write(f'{results["sample_idx"]} {results["crop_quadruple"].tolist()} {results["flip"]}\n')
        return results


def runner(ann_file, work_dir, *, epochs, workers=0, hook=True, **changes):
    work_dir.mkdir(exist_ok=True)
    cfg = Config(run_config(ann_file, work_dir, workers=workers, epochs=epochs))
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.train_dataloader.dataset.pipeline.insert(5, dict(type='RecordFlips', folder=str(work_dir)))
    cfg.train_dataloader.update(changes)
    if not hook:
        cfg.custom_hooks = cfg.custom_hooks[1:]
    cfg.experiment_name = f'{work_dir}{epochs}'
    return Runner.from_cfg(cfg)


def trained(*args, resume=None, **kwargs):
    built = runner(*args, **kwargs)
    if resume:
        built._load_from, built._resume = str(resume), True
    built.train()
    return built.model.state_dict()


def difference(first, second):
    return max((first[key].double() - second[key].double()).abs().max().item() for key in first)


def draws(work_dir):
    lines = (work_dir / DRAWS).read_text().splitlines()
    return sorted(lines[:6]), sorted(lines[6:])


@pytest.mark.parametrize('workers', [0, 2])
def test_resume_is_exact_with_random_augmentation_and_dropout(tmp_path, workers):
    ann_file = write_dataset(tmp_path / 'videos', good=6)
    straight = trained(ann_file, tmp_path / 'a', epochs=2, workers=workers)
    after_one = trained(ann_file, tmp_path / 'b', epochs=1, workers=workers)
    random.seed(123), np.random.seed(123), torch.manual_seed(123)  # another process starts from another state
    resumed = trained(ann_file, tmp_path / 'c', epochs=2, workers=workers, resume=tmp_path / 'b' / 'epoch_1.pth')
    assert difference(straight, after_one) > 0
    assert difference(straight, resumed) == 0
    first, second = draws(tmp_path / 'a')
    assert first != second  # every epoch draws its own augmentations
    assert draws(tmp_path / 'c')[0] == second


def test_without_the_hook_it_is_not(tmp_path):
    """The test above can fail."""
    ann_file = write_dataset(tmp_path / 'videos', good=6)
    straight = trained(ann_file, tmp_path / 'a', epochs=2, hook=False)
    resumed = trained(ann_file, tmp_path / 'c', epochs=2, resume=tmp_path / 'a' / 'epoch_1.pth', hook=False)
    assert difference(straight, resumed) > 0


def test_workers_differ_from_each_other_and_from_epoch_to_epoch(tmp_path):
    """Under one worker seed all samples at the same place of an epoch would get the same draws."""
    ann_file = write_dataset(tmp_path / 'videos', good=6)
    trained(ann_file, tmp_path / 'a', epochs=2, workers=2)
    crops = [line.split(' ', 1)[1] for line in (tmp_path / 'a' / DRAWS).read_text().splitlines()]
    assert len(set(crops)) == len(crops) == 12


def test_ranks_draw_different_numbers(monkeypatch):
    """Else all of them would augment and drop alike."""
    drawn = []
    for rank in (0, 1, 1):
        monkeypatch.setattr('textxfer_mm.engine.hooks.epoch_seed.get_rank', lambda rank=rank: rank)
        EpochSeedHook().before_train_epoch(SimpleNamespace(seed=7, epoch=3))
        drawn.append((random.random(), np.random.rand(), torch.rand(1).item()))
    first, second, again = drawn
    assert second == again
    assert all(a != b for a, b in zip(first, second, strict=True))


def test_a_dataset_that_seeds_its_batches_needs_no_seeded_workers(monkeypatch):
    said = []
    monkeypatch.setattr(epoch_seed, 'print_log', lambda message, **_: said.append(message))
    loader = SimpleNamespace(num_workers=1, persistent_workers=False, worker_init_fn=None)
    for loader.dataset in (SimpleNamespace(seeds_batches=True), SimpleNamespace()):
        EpochSeedHook().before_train(SimpleNamespace(train_dataloader=loader))
    (warning,) = said
    assert 'repeats the same augmentations' in warning


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(persistent_workers=True), 'augmentations will differ after a resume'),
        (dict(worker_init_fn=dict(type='epoch_worker_init_fn')), None),
        (dict(worker_init_fn=dict(type='pseudo_collate')), 'each epoch repeats the same augmentations'),
    ],
)
def test_settings_that_undo_it_are_named(tmp_path, changes, message):
    built = runner(write_dataset(tmp_path / 'videos', good=2), tmp_path / 'a', epochs=1, workers=1, **changes)
    assert built.train_loop is not None  # builds it
    next(hook for hook in built.hooks if isinstance(hook, EpochSeedHook)).before_train(built)
    with open(f'{built.log_dir}/{built.timestamp}.log') as file:
        log = ' '.join(file.read().split())
    assert message in log if message else 'augmentations' not in log
