"""A validation before training is logged as any other and changes nothing of the training."""

import json

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from tiny_runs import run_config, write_dataset

import textxfer_mm.register  # noqa: F401
from textxfer_mm.engine.hooks import ResumeHook


@pytest.fixture(scope='module')
def ann_file(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp('videos'), good=6)


def train(ann_file, work_dir, *, hook=True, resume=None, validates=True, loop=None, save_best=None, **loader):
    """Train without reseeding, so that every draw counts; return the runner."""
    cfg = Config(run_config(ann_file, work_dir, epochs=2))
    cfg.train_cfg = loop or dict(type='EpochBasedTrainLoop', max_epochs=2, val_interval=1)
    by_epoch = 'max_epochs' in cfg.train_cfg
    cfg.log_processor = dict(by_epoch=by_epoch)
    cfg.default_hooks.logger.log_metric_by_epoch = by_epoch
    cfg.default_hooks.checkpoint.update(by_epoch=by_epoch, save_best=save_best)
    cfg.custom_hooks = [dict(type='InitialValidationHook')] if hook else []
    cfg.val_dataloader.update(loader)
    cfg.resume, cfg.load_from = resume is not None, resume and str(resume)
    cfg.experiment_name = f'{work_dir}{resume}'
    if not validates:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    runner = Runner.from_cfg(cfg)
    runner.register_hook(ResumeHook())
    runner.train()
    return runner


def validations(runner):
    """Step and top-1 of each validation in the log of scalars."""
    with open(f'{runner.log_dir}/vis_data/scalars.json') as file:
        lines = map(json.loads, file)
        return [(line['step'], line['acc/top1']) for line in lines if 'acc/top1' in line]


def same(first, second):
    first, second = first.model.state_dict(), second.model.state_dict()
    return all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize('loader', [{}, dict(num_workers=1, persistent_workers=True)])
def test_the_log_begins_with_the_untrained_model_and_training_is_the_same(loader, ann_file, tmp_path):
    with_hook = train(ann_file, tmp_path / 'a', save_best='auto', **loader)
    without = train(ann_file, tmp_path / 'b', hook=False, **loader)
    assert [step for step, _ in validations(with_hook)] == [0, 1, 2]
    assert validations(with_hook)[1:] == validations(without)
    assert same(with_hook, without)  # dropout and augmentation are drawn from what the validation left
    untrained = train(ann_file, tmp_path / 'c', hook=False, loop=dict(type='EpochBasedTrainLoop', max_epochs=0))
    assert untrained.val_loop.run()['acc/top1'] == pytest.approx(validations(with_hook)[0][1])


def test_a_run_that_goes_on_is_not_validated_before(ann_file, tmp_path):
    train(ann_file, tmp_path / 'a', loop=dict(type='EpochBasedTrainLoop', max_epochs=1, val_interval=1))
    resumed = train(ann_file, tmp_path / 'a', resume=tmp_path / 'a' / 'epoch_1.pth')
    assert [step for step, _ in validations(resumed)] == [2]


def test_iterations_are_counted_from_0_too(ann_file, tmp_path):
    runner = train(ann_file, tmp_path / 'a', loop=dict(type='IterBasedTrainLoop', max_iters=4, val_interval=2))
    assert [step for step, _ in validations(runner)] == [0, 2, 4]


def test_without_a_validation_it_does_nothing(ann_file, tmp_path):
    assert validations(train(ann_file, tmp_path / 'a', validates=False)) == []
