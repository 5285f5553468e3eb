"""Stops a run whose loss, weights or scores are no numbers any more, and lets nothing of it be kept."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor

from textxfer_mm.engine.finite import non_finite_names, refuse_non_finite_scores
from textxfer_mm.errors import UserError, first_few
from textxfer_mm.registry import HOOKS

#: How many times more steps a loss scaler gets, as long as it keeps the weights finite by leaving steps out.
PATIENCE = 10
#: How a sample may name its video.
NAMES = ('filename', 'video_id', 'img_path')


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Ends a run that has diverged with one message: the step, the rate and what to try.

    Training stops after ``max_steps`` steps in a row whose loss is NaN or infinite. A loss scaler (mixed precision in
    float16) leaves out the updates of such steps; while it keeps the weights finite it gets ten times as many. Weights
    that are not finite are never saved, neither as the newest checkpoint nor as the best. Validation and testing stop
    at scores that are not finite, before anything is computed from them. The tools and the quick start add this hook to
    every run.

    Args:
        max_steps: Steps in a row without a finite loss that end the run.
    """

    priority = 'LOW'  # before CheckpointHook, and after EMAHook has put its weights into what is saved

    def __init__(self, max_steps: int = 3) -> None:
        if max_steps < 1:
            raise UserError(f'max_steps of FiniteLossHook must be at least 1, got {max_steps}.')
        self.max_steps = max_steps
        self._steps, self._first = 0, ''

    def before_train(self, runner: Runner) -> None:
        """Forget an earlier run."""
        self._steps, self._first = 0, ''

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Mapping[str, Any] | None = None
    ) -> None:
        """Count the steps without a finite loss, and stop when there are too many.

        Raises:
            UserError: There are.
        """
        if _is_finite_loss(outputs or {}):
            self._steps = 0
            return
        self._steps += 1
        if self._steps == 1:
            self._first = _place(runner)
        if self._steps <= self.max_steps:
            runner.logger.warning(f'The loss of iteration {runner.iter + 1} is not finite.')
        if self._steps < self.max_steps:
            return
        if self._steps < PATIENCE * self.max_steps and _has_scaler(runner) and not _broken_weights(runner):
            return
        raise self._diverged(runner, f'the loss of {self._steps} steps in a row is not finite')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keep weights that are not finite from being saved.

        Raises:
            UserError: They are not.
        """
        broken = [
            name for part in ('state_dict', 'ema_state_dict') for name in non_finite_names(checkpoint.get(part, {}))
        ]
        if broken:
            raise self._diverged(runner, f'the weights are not finite ({first_few(broken)})')

    def after_train(self, runner: Runner) -> None:
        """Let no run that ended this way look as if it had gone well.

        Raises:
            UserError: The last losses were not finite, and neither are the weights.
        """
        if self._steps and is_main_process() and _broken_weights(runner):
            raise self._diverged(runner, f'the loss of the last {self._steps} steps is not finite')

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence[Any] | None = None
    ) -> None:
        """Refuse scores that are not finite: a metric would make a number of them."""
        self.after_test_iter(runner, batch_idx, data_batch, outputs)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence[Any] | None = None
    ) -> None:
        """Refuse scores that are not finite: a metric would make a number of them."""
        for number, sample in enumerate(outputs or ()):
            names = (getattr(sample, name, None) for name in NAMES)
            video = next((str(name) for name in names if name), f'video {number + 1} of batch {batch_idx + 1}')
            refuse_non_finite_scores(getattr(sample, 'pred_score', None), video)

    def _diverged(self, runner: Runner, what: str) -> UserError:
        """The message."""
        first = self._first if self._steps else _place(runner)
        given = ((runner.cfg.get('optim_wrapper') or {}).get('optimizer') or {}).get('lr')
        lower = f' (--cfg-options optim_wrapper.optimizer.lr={given / 10:g})' if _is_number(given) else ''
        return UserError(
            f'Training has diverged: {what}. It began at {first}. Nothing of this was saved; the checkpoints in '
            f'{runner.work_dir}, if there are any, are from before. Try a lower learning rate{lower}, clipped '
            'gradients (optim_wrapper.clip_grad.max_norm=20), a longer warm-up, or training without --amp.'
        )


def _place(runner: Runner) -> str:
    """The step of training that is being done."""
    rates = [rate for rates in runner.optim_wrapper.get_lr().values() for rate in rates]
    return f'epoch {runner.epoch + 1}, iteration {runner.iter + 1}, at a learning rate of {max(rates):.3g}'


def _is_number(rate: Any) -> bool:
    return isinstance(rate, float | int) and math.isfinite(rate)


def _is_finite_loss(outputs: Mapping[str, Any]) -> bool:
    """Whether the loss of a step is finite; without one of that name, all parts that are called a loss."""
    losses = [outputs['loss']] if 'loss' in outputs else [value for key, value in outputs.items() if 'loss' in key]
    return all(
        bool(torch.isfinite(value).all()) if isinstance(value, Tensor) else math.isfinite(value)
        for value in losses
        if isinstance(value, Tensor | float | int)
    )


def _has_scaler(runner: Runner) -> bool:
    """Whether an optimizer wrapper scales the loss, and so leaves out steps whose gradients are not finite."""
    wrapper = runner.optim_wrapper
    wrappers = getattr(wrapper, 'optim_wrappers', {'': wrapper}).values()
    return any(hasattr(one, 'loss_scaler') for one in wrappers)


def _broken_weights(runner: Runner) -> list[str]:
    """The names of the weights that are not finite."""
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    return non_finite_names({name: value.detach() for name, value in model.named_parameters()})
