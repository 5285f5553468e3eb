"""Comparing candidates on the same folds, and keeping the best."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from textxfer_mm.apis.folder_training.candidates import Candidate, LinearProbe, Samples
from textxfer_mm.apis.folder_training.folds import Fold, Validation


@dataclass(frozen=True)
class Validated:
    """A candidate as it was validated.

    Attributes:
        candidate: The candidate.
        folds: The folds on which it was validated.
        scores: Probabilities (m, K) of the videos of each fold.
        labels: Their true classes.
        settings: What was chosen in each fold.
        seconds: How long it took.
    """

    candidate: Candidate
    folds: tuple[Fold, ...]
    scores: tuple[np.ndarray, ...]
    labels: tuple[np.ndarray, ...]
    settings: tuple[dict[str, Any], ...]
    seconds: float

    @property
    def accuracies(self) -> np.ndarray:
        """Share of videos that were named right in each fold."""
        pairs = zip(self.scores, self.labels, strict=True)
        return np.array([(scores.argmax(1) == labels).mean() for scores, labels in pairs])

    @property
    def accuracy(self) -> float:
        """Their mean."""
        return float(self.accuracies.mean())

    @property
    def spread(self) -> float:
        """Their standard deviation; of one fold the standard error of a share of so many videos."""
        if len(self.folds) > 1:
            return float(self.accuracies.std(ddof=1))
        return float(np.sqrt(self.accuracy * (1 - self.accuracy) / len(self.labels[0])))

    @property
    def class_accuracies(self) -> np.ndarray:
        """Share of the videos of each class that were named right, (K,)."""
        scores, labels = np.concatenate(self.scores), np.concatenate(self.labels)
        right = scores.argmax(1) == labels
        counts = np.bincount(labels, minlength=scores.shape[1])
        return np.bincount(labels, right, scores.shape[1]) / np.maximum(counts, 1)


@dataclass(frozen=True)
class Lead:
    """How much better one candidate is than another on the folds that both were validated on.

    Attributes:
        mean: The mean difference of their accuracies.
        spread: Its standard error: over the videos of one fold, or over folds, corrected for the videos that these
            share in training (Nadeau & Bengio, 2003).
    """

    mean: float
    spread: float

    @property
    def is_beyond_spread(self) -> bool:
        """Whether the mean is further from zero than twice its standard error."""
        return abs(self.mean) > 2 * self.spread


def validate(
    candidate: Candidate, samples: Samples, folds: Sequence[Fold], seed: int, tell: Callable[[], None] | None = None
) -> Validated:
    """Fit a candidate to the training side of each fold, and score the other side."""
    start, scores, settings = time.perf_counter(), [], []
    for fold in folds:
        fitted = candidate.fit(samples.at(fold.train), seed)
        scores.append(fitted.scores(samples.at(fold.val)).detach().numpy())
        settings.append(fitted.settings)
        if tell is not None:
            tell()
    labels = tuple(samples.labels.numpy()[fold.val] for fold in folds)
    seconds = time.perf_counter() - start
    return Validated(candidate, tuple(folds), tuple(scores), labels, tuple(settings), seconds)


def lead(one: Validated, other: Validated) -> Lead:
    """How much better one is than the other, pairwise on the folds in common, which are the first ones."""
    common = min(len(one.folds), len(other.folds))
    if common > 1:
        differences = one.accuracies[:common] - other.accuracies[:common]
    else:
        sides = [(x.scores[0].argmax(1) == x.labels[0]).astype(float) for x in (one, other)]
        differences = sides[0] - sides[1]
    number, shared = len(differences), 0.0
    if common > 1:
        fold = one.folds[0]
        shared = len(fold.val) / len(fold.train)
    error = differences.std(ddof=1) * np.sqrt(1 / number + shared) if number > 1 else 0.0
    return Lead(float(differences.mean()), float(error))


def choose(validated: Sequence[Validated]) -> Validated:
    """The best by mean accuracy on the folds in common; of equal ones the first.

    The linear probe is always among them, and what it beats beyond the spread is never chosen, whatever that beats
    itself: a costly candidate is compared on fewer folds than others.
    """
    best = probe = probe_of(validated)
    for one in validated:
        ahead = lead(one, best).mean
        is_better = ahead > 0 or (ahead == 0 and validated.index(one) < validated.index(best))
        if is_better and not (lead(probe, one).mean > 0 and lead(probe, one).is_beyond_spread):
            best = one
    return best


def probe_of(validated: Sequence[Validated]) -> Validated:
    """The linear probe."""
    return next(one for one in validated if isinstance(one.candidate, LinearProbe))


def folds_for(candidate: Candidate, validation: Validation) -> tuple[Fold, ...]:
    """The folds on which a candidate is validated: one repeat of them where that takes long."""
    return validation.first_repeat if getattr(candidate, 'is_costly', False) else validation.folds
