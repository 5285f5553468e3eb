"""Measures taken during a training, which goes on as if they had not been."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from textxfer_mm.engine.random_state import keeping_random_state

#: A quick measure of a model in evaluation mode, with the config that it is trained with.
Quick = Callable[[nn.Module, Config], float]


@dataclass(frozen=True)
class Curve:
    """What is measured during a training.

    Attributes:
        every: Steps between two measures; there is one before the first step and one after the last as well.
        quick: What is measured.
    """

    every: int
    quick: Quick


class CurveHook(Hook):
    """Takes the measures of a :class:`Curve` in a training of one process.

    Args:
        curve: What is measured.
        cfg: The config of the training.

    Attributes:
        points: ``[step, value]`` of each measure; the step is the number of those that were done.
    """

    priority = 'LOWEST'  # what the other hooks do after a step belongs to it, and clocks are stopped

    def __init__(self, curve: Curve, cfg: Config) -> None:
        self.curve, self.cfg = curve, cfg
        self.points: list[list[float]] = []

    def before_train(self, runner: Runner) -> None:
        """Measure the model that training starts from."""
        self._measure(runner.model, 0)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Measure where it is due."""
        step = runner.iter + 1
        if step % self.curve.every == 0 or step == runner.max_iters:
            self._measure(runner.model, step)

    def _measure(self, model: nn.Module, step: int) -> None:
        """Add one point."""
        with keeping_random_state(), evaluating(model), torch.no_grad():
            self.points.append([step, round(float(self.curve.quick(model, self.cfg)), 5)])


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, and afterwards each module's own mode again: frozen parts are in another one than the rest."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
