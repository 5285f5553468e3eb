"""Scores of a model on a list of videos, and what is read off them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Scores:
    """Scores of n videos.

    Attributes:
        values: Scores (n, K).
        labels: True classes (n,), as indices into ``class_names``; for mAP also (n, K) of zeros and ones.
        class_names: K names.
    """

    values: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]

    def top(self, k: int) -> float:
        """Share of videos whose true class is among the k best."""
        best = np.argsort(self.values, axis=1)[:, -k:]  # (n, k); of equal scores, those that MMAction2 would take
        return float((best == self.labels[:, None]).any(axis=1).mean())

    def top1_of(self, class_names: Sequence[str]) -> float:
        """Share of the videos of some classes that are named right with all K names competing."""
        rows = np.isin(self.labels, [self.class_names.index(name) for name in class_names])
        return Scores(self.values[rows], self.labels[rows], self.class_names).top(1)

    def confusion(self) -> np.ndarray:
        """Counts (K, K), true classes in rows."""
        n = len(self.class_names)
        return np.bincount(n * self.labels + self.values.argmax(1), minlength=n * n).reshape(n, n)

    def among(self, class_names: Sequence[str]) -> 'Scores':
        """The videos of some classes, with their scores among these classes only."""
        return self.of_classes([self.class_names.index(name) for name in class_names])

    def of_classes(self, classes: Sequence[int]) -> 'Scores':
        """:meth:`among` by the indices of the classes."""
        classes = list(classes)
        rows = np.isin(self.labels, classes)
        labels = np.array([classes.index(label) for label in self.labels[rows]], dtype=int)
        return Scores(self.values[rows][:, classes], labels, tuple(self.class_names[index] for index in classes))


def join(seen: Scores, unseen: Scores, first_unseen: int) -> Scores:
    """Both lists of videos as one, scored against the names of all classes.

    Args:
        seen: Scores of the first list.
        unseen: Scores of the second list, whose labels count from 0.
        first_unseen: Index of the second list's first class among all names.
    """
    labels = np.concatenate([seen.labels, unseen.labels + first_unseen])
    return Scores(np.concatenate([seen.values, unseen.values]), labels, seen.class_names)
