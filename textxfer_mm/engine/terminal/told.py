"""What is said before a run: how long it is, on what, and where the rest is written."""

import os
from collections.abc import Iterator
from pathlib import Path

import torch
from mmengine.dist import get_world_size
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from textxfer_mm.engine.terminal.measures import is_by_epoch, saver_of
from textxfer_mm.errors import shown


def near(path: str | Path) -> str:
    """A path as one would type it here: relative where that is inside the folder in which the command runs."""
    relative = os.path.relpath(path)
    return shown(str(path) if relative.startswith('..') else relative, None)


def bare(model: nn.Module) -> nn.Module:
    """The model without the wrapper of distributed training."""
    return model.module if is_model_wrapper(model) else model


def before_training(runner: Runner) -> Iterator[str]:
    """The lines before a training."""
    loop, loader, name = runner.train_loop, runner.train_dataloader, Path(runner.cfg.filename or 'the config').stem
    batch, ranks = getattr(loader, 'batch_size', None), get_world_size()
    length = f'{loop.max_iters} iterations'
    if is_by_epoch(runner):
        length = f'{_several(loop.max_epochs, "epoch")} of {_several(len(loader), "iteration")}'
    each = f', {f"{ranks} x " if ranks > 1 else ""}{batch} {_samples(runner)} each' if batch else ''
    yield f'Training {shown(name)}: {length}{each}, on {_devices(runner, ranks)}.'
    yield f'{len(loader.dataset):,} {_samples(runner)} to train on, {_validation(runner)}; {_weights(runner)}.'
    saver = saver_of(runner)
    folder = runner.work_dir if saver is None or saver.out_dir is None else saver.out_dir
    yield f'Checkpoints go to {near(folder)}; settings, environment and each step are in {near(_log_file(runner))}.'


def before_testing(runner: Runner) -> str:
    """The line before a test."""
    loader = runner.test_dataloader
    return (
        f'Testing {near(runner._load_from) if runner._load_from else "random weights"} on {len(loader.dataset):,} '
        f'{_samples(runner)}, on {_devices(runner, get_world_size())}; log: {near(_log_file(runner))}.'
    )


def resumed(runner: Runner) -> str | None:
    """How far the run was that goes on, or whose weights it begins with."""
    if runner._load_from is None:
        return None
    if not runner._resume:
        return f'It begins with the weights of {near(runner._load_from)}.'
    done = f'epoch {runner.epoch}' if is_by_epoch(runner) and runner.epoch else f'iteration {runner.iter}'
    return f'It goes on after {done}, from {near(runner._load_from)}.'


def _samples(runner: Runner) -> str:
    return 'images' if runner.cfg.get('default_scope') == 'mmpretrain' else 'videos'


def _devices(runner: Runner, ranks: int) -> str:
    device = next(runner.model.parameters()).device
    name = torch.cuda.get_device_name(device) if device.type == 'cuda' else device.type.upper()
    if ranks > 1:
        return f'{ranks} x {name}' if device.type != 'cpu' else f'CPU in {ranks} processes'
    return f'{name} ({_several(torch.get_num_threads(), "thread")})' if device.type == 'cpu' else name


def _validation(runner: Runner) -> str:
    if runner.val_loop is None:
        return 'without validation'
    count = f'{len(runner.val_dataloader.dataset):,} to validate on'
    interval = getattr(runner.train_loop, 'val_interval', None)
    unit = 'epoch' if is_by_epoch(runner) else 'iteration'
    return count if not interval else f'{count} after each {f"{interval} {unit}s" if interval > 1 else unit}'


def _weights(runner: Runner) -> str:
    parameters = list(bare(runner.model).parameters())
    total, trained = (sum(p.numel() for p in some) for some in (parameters, [p for p in parameters if p.requires_grad]))
    return f'{_count(trained)} of the {_count(total)} weights are trained'


def _several(number: int, what: str) -> str:
    return f'{number} {what}{"s" if number > 1 else ""}'


def _count(number: int) -> str:
    return f'{number / 1e6:.1f} M' if number >= 1e5 else f'{number:,}'


def _log_file(runner: Runner) -> str:
    return runner.logger.log_file or runner.work_dir
