"""Protocols as functions of scores: full-class, half-class, mean class accuracy, mAP, base-to-novel, splits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from textxfer_mm.errors import UserError
from textxfer_mm.evaluation.scores import Scores
from textxfer_mm.evaluation.view_logits import require_one_label

#: The draws of the half-class protocol, seeds 0 to 9.
HALF_CLASS_DRAWS = 10


@dataclass(frozen=True)
class Measure:
    """One number of a protocol.

    Attributes:
        value: The number itself, or the mean of several: shares from 0 to 1.
        std: The population standard deviation of these (``numpy.std``); None for a single number.
        values: These; empty for a single number.
    """

    value: float
    std: float | None = None
    values: tuple[float, ...] = ()


class Divisible(Protocol):
    """Scores that can be had among some of the names: ``Scores`` and ``ViewLogits``."""

    labels: np.ndarray | Tensor
    class_names: tuple[str, ...]

    def of_classes(self, classes: Sequence[int]) -> Scores:
        """The videos of some classes, scored among these."""


def half_classes(num_classes: int, seed: int) -> list[int]:
    """The classes of one half-class draw, exactly as Text4Vis' released code draws them.

    ``numpy.random.seed(seed)``, a permutation of the classes, the first half of it (rounded down), sorted.

    Args:
        num_classes: C, at least 2.
        seed: 0 to 9 in the protocol.

    Raises:
        UserError: There is no half of the classes.
    """
    if num_classes < 2:
        raise UserError(f'Half of the classes are tested among each other, and there is {num_classes}: give 2 or more.')
    return sorted(np.random.RandomState(seed).permutation(num_classes)[: num_classes // 2].tolist())


def full_class(scores: Scores) -> dict[str, Measure]:
    """Top-1 and, where there are more than five classes, top-5 with all names competing."""
    require_one_label(scores.labels, 'Top-k accuracy')
    _require_videos(scores)
    return {f'top{k}': Measure(scores.top(k)) for k in (1, 5) if k == 1 or k < len(scores.class_names)}


def half_class(scores: Divisible, draws: int = HALF_CLASS_DRAWS) -> dict[str, Measure]:
    """Top-1 and top-5 among half of the classes, over draws of :func:`half_classes` with seeds 0, 1, ...

    Only the videos of a draw's classes are tested. Not comparable with :func:`full_class`: half of the names compete.

    Raises:
        UserError: There is a single class, or a draw has no videos.
    """
    require_one_label(scores.labels, 'The half-class protocol')
    parts = []
    for seed in range(draws):
        classes = half_classes(len(scores.class_names), seed)
        part = scores.of_classes(classes)
        if not len(part.labels):
            raise UserError(
                f'No video is of the {len(classes)} classes that the half-class protocol draws with seed {seed}.'
            )
        parts.append(full_class(part))
    return mean_over(parts)


def mean_over(parts: Sequence[Mapping[str, Measure]]) -> dict[str, Measure]:
    """The mean and population standard deviation of each number over several draws, splits or lists."""
    shared = [key for key in parts[0] if all(key in part for part in parts)]
    values = {key: tuple(part[key].value for part in parts) for key in shared}
    return {key: Measure(float(np.mean(found)), float(np.std(found)), found) for key, found in values.items()}


def mean_class_accuracy(scores: Scores) -> dict[str, Measure]:
    """Top-1 of each class, then the mean over the classes that have videos.

    A class without videos has no accuracy, so it is left out; MMAction2 counts it as 0 where it is predicted.
    """
    require_one_label(scores.labels, 'Mean class accuracy')
    _require_videos(scores)
    right = scores.values.argmax(1) == scores.labels
    videos = np.bincount(scores.labels, minlength=len(scores.class_names))
    hits = np.bincount(scores.labels, weights=right, minlength=len(scores.class_names))
    return dict(mean_class=Measure(float((hits[videos > 0] / videos[videos > 0]).mean())))


def mean_average_precision(scores: Scores) -> dict[str, Measure]:
    """Mean over the classes that have videos of the average precision over all videos at once.

    Single labels count as one-hot. It is MMAction2's ``mean_average_precision``: equal scores share a threshold,
    nothing is interpolated, and nothing is squashed once more.
    """
    from sklearn.metrics import average_precision_score

    _require_videos(scores)
    labels = scores.labels
    truth = np.eye(len(scores.class_names), dtype=bool)[labels] if labels.ndim == 1 else labels > 0  # (n, K)
    classes = np.flatnonzero(truth.any(axis=0))
    if not len(classes):
        raise UserError('No video has a label, so there is no average precision.')
    precisions = [average_precision_score(truth[:, k], scores.values[:, k]) for k in classes]
    return dict(map=Measure(float(np.mean(precisions))))


def harmonic_mean(first: float, second: float) -> float:
    """2 / (1 / first + 1 / second); 0 where one of them is."""
    return 2 * first * second / (first + second) if first > 0 and second > 0 else 0.0


def base_to_novel(base: Scores, novel: Scores) -> dict[str, Measure]:
    """Top-1 on base and on novel classes, and the harmonic mean.

    Args:
        base: Videos of the classes that were trained on; among base names, or among all for the generalised protocol.
        novel: Videos of the others; among novel names, or among all.
    """
    found = [full_class(scores)['top1'].value for scores in (base, novel)]
    return dict(base=Measure(found[0]), novel=Measure(found[1]), harmonic_mean=Measure(harmonic_mean(*found)))


def _require_videos(scores: Scores) -> None:
    if not len(scores.labels):
        raise UserError('There are no videos to score: the list is empty, or none of its videos could be decoded.')
