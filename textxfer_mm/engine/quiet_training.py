"""Training by MMEngine's runner, with its log in a file and its progress told to a callback."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from torch import nn

from textxfer_mm.engine.runners import stop_when_diverged

#: Told how many iterations are done, and of how many.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class History:
    """What a training run logged.

    Attributes:
        losses: One loss an iteration.
        accuracies: One top-1 accuracy (0 to 1) an iteration.
        seconds: One duration an iteration, with the wait for its batch.
        val_iterations: Iterations after which the model was validated; none without a validation.
        val_accuracies: Top-1 accuracies (0 to 1) of these validations.
    """

    losses: list[float]
    accuracies: list[float]
    seconds: list[float]
    val_iterations: list[int]
    val_accuracies: list[float]


class _ProgressHook(Hook):
    """Tells a callback how many iterations are done."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Report the iteration that has just ended."""
        self.progress(runner.iter + 1, runner.max_iters)


class _FileLogRunner(Runner):
    """A runner that logs to its file only."""

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Build the logger and take its console handler away."""
        return _without_console(super().build_logger(*args, **kwargs))


def train(cfg: Config, progress: Progress, *, recorded: Config | None = None) -> tuple[nn.Module, Path | None, History]:
    """Train as the config says.

    Args:
        cfg: The config.
        progress: Told how many iterations are done.
        recorded: The config that checkpoints hold, such as one that takes videos where it is trained on features; None
            is ``cfg``.

    Returns:
        The trained model, its checkpoint if the config keeps any, and what was logged.
    """
    runner = _FileLogRunner.from_cfg(cfg)
    runner.cfg = runner.cfg if recorded is None else recorded
    stop_when_diverged(runner)
    runner.register_hook(_ProgressHook(progress), priority='LOW')
    model = runner.train()
    scalars = runner.message_hub.log_scalars
    logged = ([float(v) for v in scalars[f'train/{key}'].data[0]] for key in ('loss', 'top1_acc', 'time'))
    validated = [float(v) for v in scalars['val/acc/top1'].data[0]] if 'val/acc/top1' in scalars else []
    steps = np.arange(1, len(validated) + 1) * runner.train_loop.val_interval * len(runner.train_dataloader)
    steps = np.minimum(steps, runner.max_iters)  # it validates at the end, whatever the interval
    last = Path(cfg.work_dir) / 'last_checkpoint'
    checkpoint = Path(last.read_text().strip()) if last.is_file() else None
    return model, checkpoint, History(*logged, steps.tolist(), validated)


@contextmanager
def logging_to(file: Path) -> Iterator[None]:
    """Send the library's log to a file instead of the console; loggers made meanwhile are forgotten at the end."""
    file.parent.mkdir(parents=True, exist_ok=True)
    known = MMLogger._instance_dict
    MMLogger.get_instance('mmengine')
    before = {name: log.handlers[:] for name, log in known.items()}
    for log in known.values():
        _without_console(log)
    MMLogger.get_instance(f'quiet {time.time_ns()}', logger_name='mmengine', log_file=str(file), file_mode='a')
    _without_console(MMLogger.get_current_instance())
    try:
        yield
    finally:
        for name in [name for name in known if name not in before]:
            del known[name]
        for name, handlers in before.items():
            known[name].handlers[:] = handlers


def _without_console(logger: MMLogger) -> MMLogger:
    """Keep the handlers that write to files."""
    logger.handlers[:] = [handler for handler in logger.handlers if isinstance(handler, logging.FileHandler)]
    return logger
