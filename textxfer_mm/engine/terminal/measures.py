"""What a run has measured so far, as the message hub of its runner has it: losses, validations, the best of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.hooks import CheckpointHook
from mmengine.logging import MessageHub
from mmengine.runner import EpochBasedTrainLoop, Runner

#: After which epochs and iterations it was validated; kept in the message hub, and so in checkpoints. MMEngine would
#: log a name that begins with 'val'.
_VALIDATED = 'places_of_validations'
#: Losses that are told beside their sum.
_MOST_PARTS = 3
#: What is beside the metrics of a validation.
_TIMES = ('val/time', 'val/data_time')


@dataclass(frozen=True)
class Validation:
    """A validation.

    Attributes:
        epoch: Epochs that were done.
        iter: Iterations that were done.
        score: What it gave.
    """

    epoch: int
    iter: int
    score: float


@dataclass(frozen=True)
class Indicator:
    """What tells which validation is the best.

    Attributes:
        name: A metric.
        less: Whether less of it is better.
    """

    name: str
    less: bool = False

    @classmethod
    def of(cls, runner: Runner) -> 'Indicator | None':
        """That of ``save_best``, else the first metric; None before the first validation."""
        saver = saver_of(runner)
        if saver is not None and saver.save_best and 'auto' not in saver.key_indicators:
            return cls(saver.key_indicators[0], saver.rules[0] == 'less')
        names = (name for name in runner.message_hub.log_scalars if name.startswith('val/') and name not in _TIMES)
        name = next(names, None)
        return None if name is None else cls(name.removeprefix('val/'), 'loss' in name)

    def best(self, validations: list[Validation]) -> Validation:
        """The best, and of equals the first after training has begun."""
        sign = -1 if self.less else 1
        return max(validations, key=lambda one: (sign * one.score, one.iter > 0))


def saver_of(runner: Runner) -> CheckpointHook | None:
    """The hook that saves the checkpoints of a run."""
    return next((hook for hook in runner.hooks if isinstance(hook, CheckpointHook)), None)


def is_by_epoch(runner: Runner) -> bool:
    """Whether a training counts in epochs."""
    return isinstance(runner.train_loop, EpochBasedTrainLoop)


def note_validation(runner: Runner) -> None:
    """Remember after which epoch and iteration it is validated now."""
    held = runner.message_hub.runtime_info.get(_VALIDATED, [])
    runner.message_hub.update_info(_VALIDATED, [*held, [runner.epoch, runner.iter]])


def validations(runner: Runner, name: str) -> list[Validation]:
    """The validations whose place is known, with their value of a metric."""
    places, values = runner.message_hub.runtime_info.get(_VALIDATED, []), history(runner.message_hub, f'val/{name}')
    count = min(len(places), len(values))
    pairs = zip(places[len(places) - count :], values[len(values) - count :], strict=True)
    return [Validation(epoch, iteration, float(value)) for (epoch, iteration), value in pairs]


def history(hub: MessageHub, name: str) -> np.ndarray:
    """All values of a scalar; none where there is no such."""
    return np.asarray(hub.log_scalars[name].data[0], dtype=float) if name in hub.log_scalars else np.empty(0)


def accuracy_name(hub: MessageHub) -> str | None:
    """The accuracy of the training steps, as the head calls it; None without one, or where datasets have their own."""
    names = [name for name in hub.log_scalars if name.startswith('train/') and 'acc' in name]
    first = [name for name in names if 'top1' in name or 'top-1' in name] or names[:1]
    return first[0] if len(first) == 1 else None


def loss_parts(hub: MessageHub) -> list[str]:
    """The losses whose sum is trained, such as those of classes and of captions; none where it is one, or are many."""
    names = [name for name in hub.log_scalars if name.startswith('train/') and 'loss' in name and name != 'train/loss']
    return names if 1 < len(names) <= _MOST_PARTS else []


def training_words(runner: Runner, window: int, parts: bool = True) -> str:
    """Loss, its parts and accuracy of the last steps of training, such as ``'loss: 0.6931  top1_acc: 0.5000'``."""
    hub = runner.message_hub
    losses = ('train/loss', *(loss_parts(hub) if parts else ()))
    names = [name for name in (*losses, accuracy_name(hub)) if name in hub.log_scalars]
    return number_words({name.removeprefix('train/'): hub.log_scalars[name].mean(max(window, 1)) for name in names})


def number_words(numbers: Mapping[str, Any], limit: int = 6) -> str:
    """Names and numbers as the log has them; what is no number is left out."""
    shown = {name: value for name, value in numbers.items() if isinstance(value, int | float | np.number)}
    words = [f'{name}: {float(value):.4f}' for name, value in list(shown.items())[:limit]]
    return '  '.join([*words, f'... ({len(shown)} in all)'] if len(shown) > limit else words)
