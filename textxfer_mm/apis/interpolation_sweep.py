"""Seen against unseen accuracy of the models between a pre-trained and a fine-tuned one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from textxfer_mm.apis.batch_norm import reestimate_batch_norm
from textxfer_mm.apis.encoding import Progress, Videos
from textxfer_mm.apis.interpolation import Interpolation
from textxfer_mm.apis.scoring import classes_of, score_by
from textxfer_mm.classifiers.stored_rows import stored_rows
from textxfer_mm.engine.classes import class_names_of
from textxfer_mm.engine.frameworks import average_of, head_module
from textxfer_mm.engine.weight_pair import require_alpha
from textxfer_mm.errors import UserError, first_few
from textxfer_mm.evaluation.calibration import stacking
from textxfer_mm.evaluation.protocols import harmonic_mean
from textxfer_mm.evaluation.scores import Scores, join

#: The shares of the way that a sweep evaluates.
ALPHAS = tuple(step / 10 for step in range(11))


@dataclass(frozen=True)
class SweepPoint:
    """Top-1 accuracies (0 to 1) of one model.

    Attributes:
        alpha: The share of the way from the pre-trained to the fine-tuned model.
        seen: Videos of seen classes, among the seen names.
        unseen: Videos of unseen classes, among the unseen names.
        seen_among_all: Videos of seen classes with all names competing.
        unseen_among_all: Videos of unseen classes with all names competing.
        harmonic_mean: Of the two with all names competing.
        area: Under unseen over seen accuracy as a constant is taken off the seen logits (calibrated stacking).
        stacked_seen: Like ``seen_among_all``, with the constant whose harmonic mean is highest. It is chosen on the
            tested videos themselves: what stacking could reach, not what it would.
        stacked_unseen: Like ``unseen_among_all``, with this constant.
        stacked_harmonic_mean: Of these two.
    """

    alpha: float
    seen: float
    unseen: float
    seen_among_all: float
    unseen_among_all: float
    harmonic_mean: float
    area: float
    stacked_seen: float
    stacked_unseen: float
    stacked_harmonic_mean: float


@dataclass(frozen=True)
class Sweep:
    """The models that were evaluated, and on what.

    Attributes:
        points: One a model, in the order of alpha.
        seen_names: The classes of the fine-tuning.
        unseen_names: The others.
        videos: The number of videos of seen and of unseen classes.
    """

    points: tuple[SweepPoint, ...]
    seen_names: tuple[str, ...]
    unseen_names: tuple[str, ...]
    videos: tuple[int, int]

    def curves(self) -> dict[str, tuple[list[float], list[float]]]:
        """Seen and unseen accuracies by what competes, for :func:`~textxfer_mm.visualization.plot_trade_off`."""
        read = {
            'among their own names': ('seen', 'unseen'),
            'all names competing': ('seen_among_all', 'unseen_among_all'),
            'all names competing, stacked': ('stacked_seen', 'stacked_unseen'),
        }
        return {
            name: tuple([getattr(point, key) for point in self.points] for key in keys) for name, keys in read.items()
        }

    def report(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        return asdict(self)


def sweep(
    ends: Interpolation,
    seen: Mapping[str, Any],
    unseen: Mapping[str, Any],
    unseen_names: Sequence[str],
    *,
    alphas: Sequence[float] = ALPHAS,
    batch_norm: Mapping[str, Any] | None = None,
    device: str | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Sweep:
    """Evaluate models between two ends on a list of seen and one of unseen classes.

    All models are held at once, so that each video is read once.

    Args:
        ends: The pre-trained and the fine-tuned model.
        seen: Config of the dataloader of seen classes, whose labels are those of the fine-tuning.
        unseen: Config of the dataloader of unseen classes, whose labels count from 0.
        unseen_names: The names of the unseen classes.
        alphas: The shares of the way.
        batch_norm: Config of a dataloader of training videos; see :meth:`Interpolation.checkpoint`.
        device: Where the models run; None takes the GPU where there is one.
        progress: Called with what is going on, and the number of finished videos and of all.

    Raises:
        UserError: The names of seen and unseen classes overlap, a list has labels without a name, an alpha is out of
            range, or the model cannot classify other names.
    """
    seen_names = _seen_names(ends)
    _check_names(seen_names, unseen_names)
    for loader, names, what in ((seen, seen_names, 'seen'), (unseen, unseen_names, 'unseen')):
        _check_labels(loader, names, what)
    shares = sorted({require_alpha(alpha) for alpha in alphas})
    if not shares:
        raise UserError('A sweep needs at least one alpha, from 0 to 1.')
    models = [ends.build([*seen_names, *unseen_names], device=device) for _ in shares]
    average = average_of(head_module(models[0]))
    if average not in ('feature', 'prob'):
        raise UserError(
            f'A sweep needs one row of probabilities a video, and the head has average_clips={average!r}: take '
            "'feature' or 'prob'."
        )
    for model, alpha in zip(models, shares, strict=True):
        ends.load(model, alpha)
    if batch_norm is not None:
        reestimate_batch_norm(models, batch_norm, progress=_telling(progress, 'BatchNorm'))
    lists = ((seen, 'seen'), (unseen, 'unseen'))
    scores = [score_by(models, loader, progress=_telling(progress, what)) for loader, what in lists]
    points = [
        _point(alpha, join(*both, len(seen_names)), seen_names, tuple(unseen_names))
        for alpha, *both in zip(shares, *scores, strict=True)
    ]
    videos = tuple(len(of_list[0].labels) for of_list in scores)
    return Sweep(tuple(points), seen_names, tuple(unseen_names), videos)


def _telling(progress: Callable[[str, int, int], None] | None, what: str) -> Progress | None:
    """What tells the progress of one thing."""
    return None if progress is None else lambda done, total: progress(what, done, total)


def _point(alpha: float, scores: Scores, seen: tuple[str, ...], unseen: tuple[str, ...]) -> SweepPoint:
    """Read the accuracies off the probabilities; their logarithms are logits but for a constant of each video."""
    among_all = scores.top1_of(seen), scores.top1_of(unseen)
    logits = torch.from_numpy(scores.values).double().clamp(min=1e-300).log()
    stacked = stacking(logits, torch.from_numpy(scores.labels), len(seen))
    return SweepPoint(
        *(alpha, scores.among(seen).top(1), scores.among(unseen).top(1)),
        *(*among_all, harmonic_mean(*among_all)),
        *(stacked.area, *stacked.best, harmonic_mean(*stacked.best)),
    )


def _seen_names(ends: Interpolation) -> tuple[str, ...]:
    """The class names of the fine-tuned model."""
    rows = stored_rows(ends.pair.fine_tuned)
    if len(rows) > 1:
        raise UserError(
            f'{ends.fine_tuned} has the classes of several datasets ({first_few(rows)}); a sweep needs one.'
        )
    names = next((held.class_names for held in rows.values()), None) or class_names_of(ends.cfg, required=True)
    if not names:
        raise UserError(
            f'{ends.fine_tuned} knows no class names: its classifier is a learned layer, which no other names can be '
            'given to. A sweep needs a model with a TextClassifier.'
        )
    return tuple(names)


def _check_names(seen: Sequence[str], unseen: Sequence[str]) -> None:
    both = [name for name in unseen if name in set(seen)]
    if both:
        raise UserError(
            f'{len(both)} of the {len(unseen)} unseen classes were trained on: {first_few(both)}. Give the names and '
            'videos of classes that are new to the model.'
        )


def _check_labels(loader: Mapping[str, Any], names: Sequence[str], what: str) -> None:
    label = max(classes_of(Videos(loader['dataset'])))
    if label >= len(names):
        raise UserError(
            f'The list of {what} classes has label {label}, and there are {len(names)} {what} names, with labels 0 to '
            f'{len(names) - 1}: the list and the names do not belong together.'
        )
