"""Protocols as functions of scores: full-class, half-class, mean class accuracy, mAPs, base-to-novel, splits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from textxfer_mm.errors import UserError
from textxfer_mm.evaluation.class_splits import half_class_split
from textxfer_mm.evaluation.protocol_names import HALF_CLASS_DRAWS
from textxfer_mm.evaluation.scores import Scores
from textxfer_mm.evaluation.view_logits import require_one_label


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


def full_class(scores: Scores) -> dict[str, Measure]:
    """Top-1 and, where there are more than five classes, top-5 with all names competing."""
    require_one_label(scores.labels, 'Top-k accuracy')
    _require_videos(scores)
    return {f'top{k}': Measure(scores.top(k)) for k in (1, 5) if k == 1 or k < len(scores.class_names)}


def half_class(scores: Divisible, draws: int = HALF_CLASS_DRAWS) -> dict[str, Measure]:
    """Top-1 and top-5 among half of the classes, over several draws.

    The draws are :func:`~textxfer_mm.evaluation.class_splits.half_class_split` with the seeds 0, 1, ... Only the videos
    of a draw's classes are tested. Not comparable with :func:`full_class`: half of the names compete.

    Raises:
        UserError: There is a single class, or a draw has no videos.
    """
    require_one_label(scores.labels, 'The half-class protocol')
    parts = []
    for seed in range(draws):
        classes = half_class_split(len(scores.class_names), seed)
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

    truth = _truth(scores)  # (n, K)
    classes = _with_videos(truth)
    precisions = [average_precision_score(truth[:, k], scores.values[:, k]) for k in classes]
    return dict(map=Measure(float(np.mean(precisions))))


def eleven_point_map(scores: Scores, ignored: np.ndarray | None = None) -> dict[str, Measure]:
    """The mAP of VOC2007: over 11 levels of recall, the mean of the best precision at that recall or more.

    AP = 1/11 sum_{r in {0, 0.1, ..., 1}} max_{r' >= r} precision(r') (Everingham et al., 2010, section 4.2), and its
    mean over the classes that have videos. Equal scores share a threshold, as in :func:`mean_average_precision`.

    Args:
        scores: Labels (n,), or (n, K) of zeros and ones.
        ignored: (n, K), true where a video does not count for a class: what VOC2007 calls difficult. None counts all.

    Raises:
        UserError: No video has a label, or ``ignored`` is of another shape.
    """
    truth = _truth(scores)  # (n, K)
    counts = np.ones_like(truth) if ignored is None else ~np.asarray(ignored, dtype=bool)
    if counts.shape != truth.shape:
        raise UserError(f'What is ignored is (n, K) = {truth.shape}, as the labels are, got {counts.shape}.')
    classes = _with_videos(truth & counts)
    rows = [counts[:, k] for k in classes]
    precisions = [_eleven_points(truth[r, k], scores.values[r, k]) for r, k in zip(rows, classes, strict=True)]
    return dict(map_11=Measure(float(np.mean(precisions))))


def _eleven_points(truth: np.ndarray, scores: np.ndarray) -> float:
    """Mean over the 11 levels of recall of the best precision at that level or beyond, of n scores of one class."""
    order = np.argsort(-scores, kind='stable')
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)  # where a run of equal scores ends
    hits = truth[order].cumsum()[ends]
    precision = hits / (ends + 1)
    return float(np.mean([precision[10 * hits >= level * hits[-1]].max() for level in range(11)]))


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


def _truth(scores: Scores) -> np.ndarray:
    """Which video is of which class, (n, K), from single labels or several a video."""
    _require_videos(scores)
    labels = scores.labels
    return np.eye(len(scores.class_names), dtype=bool)[labels] if labels.ndim == 1 else labels > 0


def _with_videos(truth: np.ndarray) -> np.ndarray:
    """The classes that have videos."""
    classes = np.flatnonzero(truth.any(axis=0))
    if not len(classes):
        raise UserError('No video has a label, so there is no average precision.')
    return classes


def _require_videos(scores: Scores) -> None:
    if not len(scores.labels):
        raise UserError('There are no videos to score: the list is empty, or none of its videos could be decoded.')
