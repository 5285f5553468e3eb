"""Scores of a model on a list of videos, and what is read off them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.runner import Runner
from torch import nn

from textxfer_mm.registry import MODELS  # noqa: F401  (repairs mmaction first)

from mmaction.evaluation import confusion_matrix, top_k_accuracy  # isort: skip

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Scores:
    """Scores of n videos.

    Attributes:
        values: Scores (n, K).
        labels: True classes (n,), as indices into ``class_names``.
        class_names: K names.
    """

    values: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]

    def top(self, k: int) -> float:
        """Share of videos whose true class is among the k best."""
        return float(top_k_accuracy(list(self.values), self.labels.tolist(), (k,))[0])

    def top1_of(self, class_names: Sequence[str]) -> float:
        """Share of the videos of some classes that are named right with all K names competing."""
        rows = np.isin(self.labels, [self.class_names.index(name) for name in class_names])
        return Scores(self.values[rows], self.labels[rows], self.class_names).top(1)

    def confusion(self) -> np.ndarray:
        """Counts (K, K), true classes in rows."""
        n = len(self.class_names)
        counts = np.zeros((n, n), dtype=int)
        found = np.union1d(self.labels, self.values.argmax(1))  # mmaction leaves out classes that do not occur
        counts[np.ix_(found, found)] = confusion_matrix(self.values.argmax(1).astype(np.int64), self.labels)
        return counts

    def among(self, class_names: Sequence[str]) -> 'Scores':
        """The videos of some classes, with their scores among these classes only."""
        columns = [self.class_names.index(name) for name in class_names]
        rows = np.isin(self.labels, columns)
        labels = np.array([columns.index(label) for label in self.labels[rows]], dtype=int)
        return Scores(self.values[rows][:, columns], labels, tuple(class_names))


@torch.no_grad()
def score_videos(model: nn.Module, dataloader: dict[str, Any], seed: int, progress: Progress) -> Scores:
    """Run a recognizer with a text classifier over the videos of a dataloader config.

    Args:
        model: The recognizer; it is put into evaluation mode.
        dataloader: Config of the dataloader.
        seed: Seed of the dataloader.
        progress: Called with the number of finished batches and the number of all.
    """
    model.eval()
    loader = Runner.build_dataloader(dict(dataloader), seed=seed)
    values, labels = [], []
    for done, batch in enumerate(loader, 1):
        for sample in model.test_step(batch):
            values.append(sample.pred_score.cpu().numpy())
            labels.append(int(sample.gt_label))
        progress(done, len(loader))
    return Scores(np.stack(values), np.array(labels), tuple(model.cls_head.class_names))


def join(seen: Scores, unseen: Scores, first_unseen: int) -> Scores:
    """Both lists of videos as one, scored against the names of all classes.

    Args:
        seen: Scores of the first list.
        unseen: Scores of the second list, whose labels count from 0.
        first_unseen: Index of the second list's first class among all names.
    """
    labels = np.concatenate([seen.labels, unseen.labels + first_unseen])
    return Scores(np.concatenate([seen.values, unseen.values]), labels, seen.class_names)
