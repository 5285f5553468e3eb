"""Which class a validation took for which, counted over all processes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dist import collect_results

from textxfer_mm.datasets.tagged import TAG

#: The most classes of a matrix whose names are legible.
LEGIBLE = 60


class ConfusionCounts:
    """Counts true and predicted class of each sample that has one of each; all processes call :meth:`matrix`."""

    def __init__(self) -> None:
        self._pairs: list[tuple[int, int, int]] = []

    def add(self, samples: Sequence[Any] | None) -> None:
        """Add the samples of a batch: those with one true class and a score for each of few classes.

        Classes of several datasets are none: equal labels mean different classes there.
        """
        for sample in samples or ():
            label, scores = getattr(sample, 'gt_label', None), getattr(sample, 'pred_score', None)
            is_plain = (
                getattr(sample, TAG, None) is None
                and isinstance(label, torch.Tensor)
                and isinstance(scores, torch.Tensor)
                and scores.ndim == 1
            )
            if is_plain and label.numel() == 1 and 2 <= len(scores) <= LEGIBLE:
                self._pairs.append((int(label), int(scores.argmax()), len(scores)))
            else:
                self._pairs.append((-1, -1, 0))

    def matrix(self, samples: int) -> np.ndarray | None:
        """Counts (K, K) over all processes, true classes in rows, and begin anew.

        Args:
            samples: How many there are; the duplicates that make the processes' shares equal are left out.

        Returns:
            None where it is no single choice among few classes, and in all processes but the first.
        """
        pairs, self._pairs = self._pairs, []
        pairs = collect_results(pairs, samples, device='gpu')  # by the process group, which may be gloo
        sizes = {size for _, _, size in pairs or ()}
        if len(sizes) != 1 or 0 in sizes:
            return None
        (size,) = sizes
        counts = np.zeros((size, size), dtype=int)
        for truth, predicted, _ in pairs:
            if not 0 <= truth < size:
                return None
            counts[truth, predicted] += 1
        return counts
