"""Segments out of the scores of windows: who is ahead when, smoothed, above a threshold, and for how long."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: How the label of a segment without one is shown.
NONE_OF_THESE = 'none of these'


@dataclass(frozen=True)
class Segment:
    """A part of a video.

    Attributes:
        label: The class name; None where no score reaches the threshold.
        start: Where it begins, in seconds.
        end: Where it ends, in seconds.
        score: The mean score of the label; without one, of the best label.
    """

    label: str | None
    start: float
    end: float
    score: float

    @property
    def shown_label(self) -> str:
        """The label, or :data:`NONE_OF_THESE`."""
        return NONE_OF_THESE if self.label is None else self.label


@dataclass
class _Run:
    """Cells from ``first`` to before ``last`` of one label; -1 stands for none."""

    label: int
    first: int
    last: int


def cell_edges(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Borders (W + 1,) between what each window stands for: half way between their middles, and both ends."""
    middles = (starts + ends) / 2
    return np.concatenate([starts[:1], (middles[:-1] + middles[1:]) / 2, ends[-1:]])


def smooth(scores: np.ndarray, middles: np.ndarray, width: float) -> np.ndarray:
    """Mean scores (W, K) over the windows whose middles lie within ``width`` seconds, half of it on each side."""
    sums = np.concatenate([np.zeros((1, scores.shape[1])), np.cumsum(scores, axis=0, dtype=float)])
    low = np.searchsorted(middles, middles - width / 2 - 1e-6)
    high = np.searchsorted(middles, middles + width / 2 + 1e-6)
    return (sums[high] - sums[low]) / (high - low)[:, None]


def find_segments(
    scores: np.ndarray,
    edges: np.ndarray,
    class_names: Sequence[str],
    *,
    threshold: float,
    min_length: float = 0.0,
    several: bool = False,
) -> list[Segment]:
    """The segments of a video, by start.

    With one label at a time, neighbouring cells of the best label make a segment, and so do those where none reaches
    the threshold. One that is shorter than ``min_length`` goes to the neighbour whose label scores higher in it, the
    shortest first; none scores as high as the threshold. With several labels at once, each has segments of its own
    where it reaches the threshold, short ones are left out, and what none of them covers is none's.

    Args:
        scores: Scores (W, K) of the cells.
        edges: Borders (W + 1,) of the cells, in seconds.
        class_names: K names.
        threshold: The least score of a label, 0 to 1.
        min_length: The least length of a segment with a label, in seconds.
        several: Whether several labels can hold at once.
    """
    if several:
        runs = [
            run
            for label in range(scores.shape[1])
            for run in _runs(np.where(scores[:, label] >= threshold, label, -1))
            if run.label >= 0 and not _is_short(run, edges, min_length)
        ]
        covered = np.zeros(len(scores), dtype=bool)
        for run in runs:
            covered[run.first : run.last] = True
        runs += [run for run in _runs(np.where(covered, 0, -1)) if run.label < 0]
    else:
        best = np.where(scores.max(1) >= threshold, scores.argmax(1), -1)
        runs = _without_short(_runs(best), scores, edges, threshold, min_length)
    found = [_segment(run, scores, edges, class_names) for run in runs]
    return sorted(found, key=lambda segment: (segment.start, segment.end))


def _runs(labels: np.ndarray) -> list[_Run]:
    """Neighbouring cells of one label."""
    borders = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
    return [_Run(int(labels[a]), a, b) for a, b in itertools.pairwise(borders)]


def _is_short(run: _Run, edges: np.ndarray, min_length: float) -> bool:
    return edges[run.last] - edges[run.first] < min_length - 1e-6


def _without_short(
    runs: list[_Run], scores: np.ndarray, edges: np.ndarray, threshold: float, min_length: float
) -> list[_Run]:
    """Give runs with a label that are too short to a neighbour."""
    while short := [run for run in runs if run.label >= 0 and _is_short(run, edges, min_length)]:
        run = min(short, key=lambda run: edges[run.last] - edges[run.first])
        place = runs.index(run)
        part = scores[run.first : run.last]

        def score(neighbour: _Run, part: np.ndarray = part) -> float:
            return threshold if neighbour.label < 0 else float(part[:, neighbour.label].mean())

        around = runs[max(place - 1, 0) : place] + runs[place + 1 : place + 2]
        run.label = max(around, key=score).label if around else -1
        runs = _joined(runs)
    return runs


def _joined(runs: list[_Run]) -> list[_Run]:
    """Make one of neighbours with the same label."""
    joined: list[_Run] = []
    for run in runs:
        if joined and joined[-1].label == run.label:
            joined[-1].last = run.last
        else:
            joined.append(run)
    return joined


def _segment(run: _Run, scores: np.ndarray, edges: np.ndarray, class_names: Sequence[str]) -> Segment:
    part, weights = scores[run.first : run.last], np.diff(edges[run.first : run.last + 1])
    values = part.max(1) if run.label < 0 else part[:, run.label]
    label = None if run.label < 0 else class_names[run.label]
    return Segment(label, float(edges[run.first]), float(edges[run.last]), float(np.average(values, weights=weights)))
