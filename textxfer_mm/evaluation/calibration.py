"""What a score means: temperature, calibration error, "none of these", and seen names that compete with unseen ones."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from textxfer_mm.errors import UserError

BINS = 15
#: The share of known videos that a threshold may lose.
LOST_SHARE = 0.05


def negative_log_likelihood(logits: Tensor, labels: Tensor, temperature: float = 1.0) -> float:
    """The mean over n videos of -log softmax(logits / temperature) at their labels."""
    return float(torch.nn.functional.cross_entropy(logits.double() / temperature, labels))


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature that makes the labels most likely (Guo et al., 2017).

    The mean log-likelihood is concave in 1 / temperature, so its one maximum is where the slope is zero; that is found
    by halving.

    Args:
        logits: (n, K).
        labels: (n,).

    Raises:
        UserError: No temperature is best: the likelihood grows towards 0 (every video is right) or without end (the
            scores are no better than chance).
    """
    logits = logits.double()
    logits = logits - logits.max(1, keepdim=True).values
    true = logits.gather(1, labels[:, None]).mean()

    def slope(inverse: float) -> float:
        return float(true - ((inverse * logits).softmax(1) * logits).sum(1).mean())

    if slope(0.0) <= 0:
        raise UserError(
            f'No temperature fits: on these {len(labels)} videos the scores are no better than chance. Give a '
            'validation list on which the model is better.'
        )
    if float(true) == 0:
        raise UserError(
            f'No temperature fits: all {len(labels)} validation videos are recognised right, so the likelihood grows '
            'without end as it falls. Give a longer validation list.'
        )
    low, high = 0.0, 1.0
    while slope(high) > 0:
        low, high = high, 2 * high
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return 2 / (low + high)


def expected_calibration_error(confidences: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """The mean distance of confidence and accuracy over equal bins, weighted by their videos.

    torchmetrics' ``CalibrationError(norm='l1')``: bins are closed below and open above, float32, and a confidence of
    exactly 1 has a bin of its own.

    Args:
        confidences: The highest probability of each video (n,), from 0 to 1.
        right: Whether that class is the true one (n,).
        bins: Bins from 0 to 1.

    Raises:
        UserError: There are no videos.
    """
    if not len(confidences):
        raise UserError('A calibration error needs videos, and there are none.')
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float32)
    given = torch.from_numpy(np.asarray(confidences, dtype=np.float32).clip(0, 1))
    which = (torch.bucketize(given, edges, right=True) - 1).numpy()
    gaps = np.bincount(which, weights=given.double().numpy() - np.asarray(right, dtype=float), minlength=bins + 1)
    return float(np.abs(gaps).sum() / len(given))


def losing_threshold(values: np.ndarray, share: float = LOST_SHARE) -> float:
    """The largest threshold below which no more than a share of the values lies.

    A value that equals it is kept.

    Args:
        values: (n,), for example the confidences of videos of known classes.
        share: The largest share to lose, from 0 to below 1.

    Raises:
        UserError: There are no values, or the share is out of range.
    """
    if not 0 <= share < 1:
        raise UserError(f'The share of known videos to lose is from 0 to below 1, got {share}.')
    if not len(values):
        raise UserError('A threshold needs videos of known classes, and there are none.')
    return float(np.sort(values)[math.floor(share * len(values) + 1e-9)])


@dataclass(frozen=True)
class Stacking:
    """Seen and unseen accuracy where all names compete, as functions of a constant taken off the seen logits.

    Attributes:
        constants: The constants (m,) at which the accuracies change, ascending, from minus infinity on; a change
            happens just above its constant.
        seen: Accuracy (m,) on videos of seen classes.
        unseen: Accuracy (m,) on videos of unseen classes.
    """

    constants: np.ndarray
    seen: np.ndarray
    unseen: np.ndarray

    def at(self, constant: float) -> tuple[float, float]:
        """Seen and unseen accuracy with this constant; of equal logits the seen name wins."""
        place = np.searchsorted(self.constants, constant, side='left') - 1
        return float(self.seen[place]), float(self.unseen[place])

    @property
    def area(self) -> float:
        """The area under unseen over seen accuracy (AUSUC)."""
        widths = -np.diff(self.seen)
        return float((widths * (self.unseen[1:] + self.unseen[:-1]) / 2).sum())

    @property
    def best(self) -> tuple[float, float]:
        """Seen and unseen accuracy where their harmonic mean is highest: chosen on the tested videos themselves."""
        total = self.seen + self.unseen
        means = np.divide(self.seen * self.unseen, total, out=np.zeros_like(total), where=total > 0)
        place = int(means.argmax())
        return float(self.seen[place]), float(self.unseen[place])


def margins(logits: Tensor, seen_classes: int) -> np.ndarray:
    """How far the best seen name is ahead of the best unseen one (n,); the first ``seen_classes`` columns are seen."""
    return (logits[:, :seen_classes].max(1).values - logits[:, seen_classes:].max(1).values).numpy()


def stacking(logits: Tensor, labels: Tensor, seen_classes: int) -> Stacking:
    """Calibrated stacking (Chao et al., 2016) with all constants at once.

    Args:
        logits: (n, K) of videos of seen and unseen classes, with all K names competing.
        labels: (n,).
        seen_classes: The first classes of these are the seen ones.

    Raises:
        UserError: There are no seen or no unseen videos.
    """
    ahead = margins(logits, seen_classes)
    is_seen = (labels < seen_classes).numpy()
    if is_seen.all() or not is_seen.any():
        raise UserError('Calibrated stacking needs videos of seen and of unseen classes; one kind is missing.')
    among_seen = logits[:, :seen_classes].argmax(1)
    among_unseen = logits[:, seen_classes:].argmax(1) + seen_classes
    right = (torch.where(labels < seen_classes, among_seen, among_unseen) == labels).numpy()
    constants = np.unique(ahead)  # seen wins where the margin is at least the constant
    kept = np.sort(ahead[is_seen & right])
    won = np.sort(ahead[~is_seen & right])
    seen = (len(kept) - np.concatenate([[0], np.searchsorted(kept, constants, side='right')])) / is_seen.sum()
    unseen = np.concatenate([[0], np.searchsorted(won, constants, side='right')]) / (~is_seen).sum()
    return Stacking(np.concatenate([[-np.inf], constants]), seen, unseen)
