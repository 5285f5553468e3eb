"""One run: train a setting with one seed, test it, and write its result in one piece."""

import copy
import json
import os
import platform
import shutil
import socket
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import nn

from paper_tables_parts.settings import LDA_FEATURES, Setting, located
from textxfer_mm.classifiers.feature_file import LabelledFeatures
from textxfer_mm.compat import close_process_group
from textxfer_mm.files import write_text
from textxfer_mm.models.building import build_classifier_source
from textxfer_mm.registry import MODELS


class _StepTimes(Hook):
    """Wall and processor time of each training step, without the loading of its data."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Start both clocks."""
        self._start = time.perf_counter(), time.process_time()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Stop both clocks."""
        self.wall.append(time.perf_counter() - self._start[0])
        self.cpu.append(time.process_time() - self._start[1])


def run(setting: Setting, cfg: Config, seed: int, data: Path, file: Path) -> dict[str, Any]:
    """Train and test one setting; on one rank in this process, on several in processes of their own.

    Args:
        setting: What is trained.
        cfg: Its config, see :func:`~paper_tables_parts.settings.make_config`.
        seed: Its seed.
        data: Folder of the decoded videos.
        file: The result is written here, at the very end and in one piece.
    """
    started = time.perf_counter()
    cfg = located(cfg, data)
    with tempfile.TemporaryDirectory() as work_dir:
        cfg.work_dir = work_dir
        if setting.lda:
            cfg.model.cls_head.classifier.features = str(write_lda_features(cfg, Path(work_dir) / LDA_FEATURES))
        if setting.ranks == 1:
            result = _train_and_test(setting, cfg)
        else:
            result = _on_ranks(setting, cfg)
    result.update(
        setting=setting.name,
        seed=seed,
        seconds=time.perf_counter() - started,
        cpu_count=os.cpu_count(),
        versions=dict(python=platform.python_version(), **{name: version(name) for name in ('torch', 'mmaction2')}),
    )
    write_text(file, json.dumps(result))
    return result


def _train_and_test(setting: Setting, cfg: Config) -> dict[str, Any]:
    """Train, then measure on rank 0 what the report needs."""
    init_default_scope(cfg.default_scope)
    test_loaders = {name: cfg.pop(f'{name}_dataloader') for name in ('val', 'test')}
    for name in ('val', 'test'):
        cfg[f'{name}_cfg'] = cfg[f'{name}_evaluator'] = None
    seed, losses, times = cfg.randomness.seed, [], _StepTimes()
    if cfg.train_cfg.max_epochs:
        runner = Runner.from_cfg(cfg)
        runner.register_hook(times, priority='VERY_LOW')
        model = runner.train()
        losses = [round(float(loss), 5) for loss in runner.message_hub.get_scalar('train/loss').data[0]]
        model = getattr(model, 'module', model)
    else:
        model = MODELS.build(cfg.model)
        model.init_weights()
    result = dict(losses=losses, seen=accuracy(model, test_loaders['val'], seed), zero_shot=None)
    if setting.zero_shot:
        result['zero_shot'] = accuracy(with_unseen_classes(model, cfg), test_loaders['test'], seed)
    if losses:
        result.update(step_seconds=statistics.median(times.wall), step_cpu_seconds=statistics.median(times.cpu))
    return result


@torch.no_grad()
def accuracy(model: nn.Module, dataloader: dict[str, Any], seed: int) -> float:
    """Top-1 accuracy (0 to 1) of a recognizer on the videos of a dataloader config."""
    model.eval()
    right = []
    for batch in Runner.build_dataloader(dict(dataloader), seed=seed):
        right += [int(sample.pred_score.argmax()) == int(sample.gt_label) for sample in model.test_step(batch)]
    return statistics.mean(right)


def with_unseen_classes(model: nn.Module, cfg: Config) -> nn.Module:
    """The same recognizer for the names of the unseen classes, as a user would test its checkpoint with other names.

    Rows that were trained stay with their classes: the unseen ones get the rows of their text.
    """
    changed = copy.deepcopy(cfg.model)
    changed.cls_head.classifier.class_names = list(cfg.unseen_class_names)
    if not changed.cls_head.get('frozen', True):
        changed.cls_head.frozen = True
    other = MODELS.build(changed)
    other.load_state_dict(model.state_dict())
    other.cls_head.ensure_weights()
    if tuple(other.cls_head.class_names) != tuple(cfg.unseen_class_names):
        raise RuntimeError(f'The head kept {other.cls_head.class_names}.')
    return other


def row_cosines(cfg: Config) -> tuple[float, float]:
    """Mean and largest cosine between the rows of different classes of a config's classifier, before training."""
    weight = build_classifier_source(cfg.model.cls_head.classifier).build().weight  # (K, D)
    others = (weight @ weight.T)[~torch.eye(len(weight), dtype=torch.bool)]
    return float(others.mean()), float(others.max())


@torch.no_grad()
def write_lda_features(cfg: Config, file: Path) -> Path:
    """Write the centred features of all training videos by the encoder before training, one view each, with labels."""
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.lda_encoder)
    model.init_weights()
    model.eval()
    loader = copy.deepcopy(cfg.val_dataloader)
    loader.dataset.ann_file = cfg.train_dataloader.dataset.ann_file
    features, labels = [], []
    for batch in Runner.build_dataloader(dict(loader), seed=0):
        batch = model.data_preprocessor(batch)
        maps, _ = model.extract_feat(batch['inputs'], stage='neck')
        features.append(model.cls_head.embed(maps))
        labels += [int(sample.gt_label) for sample in batch['data_samples']]
    rows = torch.cat(features)
    return LabelledFeatures(rows - rows.mean(0), torch.tensor(labels)).save(file)


def _on_ranks(setting: Setting, cfg: Config) -> dict[str, Any]:
    """Train on several gloo processes of one thread each; rank 0 tests and hands its result over in a file."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    cfg.launcher = 'pytorch'
    folder = Path(tempfile.mkdtemp())
    try:
        torch.multiprocessing.spawn(_rank, (setting.name, cfg, port, setting.ranks, folder), nprocs=setting.ranks)
        return json.loads((folder / 'result.json').read_text())
    finally:
        shutil.rmtree(folder)


def _rank(rank: int, name: str, cfg: Config, port: int, ranks: int, folder: Path) -> None:
    """What each of the processes does."""
    from paper_tables_parts.rows import SETTINGS

    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(ranks), MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port)
    )
    torch.set_num_threads(1)
    result = _train_and_test(SETTINGS[name], cfg)
    if rank == 0:
        write_text(folder / 'result.json', json.dumps(result))
    close_process_group()
