"""Accuracy on several datasets in one pass, and its mean over them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric

from textxfer_mm.datasets.tagged import TAG
from textxfer_mm.errors import UserError, first_few, shown
from textxfer_mm.registry import METRICS

from mmaction.evaluation import mean_average_precision, top_k_accuracy  # isort: skip  (the registry repairs mmaction)

#: What stands before the mean over the datasets.
MEAN = 'mean'
#: The mean average precision of a dataset of several labels a video.
MAP = 'mAP'


@METRICS.register_module()
class MultiDatasetMetric(BaseMetric):
    """Top-1 and top-5 of each dataset of a ``MultiDataset``, and the mean over the datasets.

    The keys are ``<dataset>/top1``, ``<dataset>/top5``, ``mean/top1`` and ``mean/top5``. A dataset of several labels a
    video (``multi_class=True``) has ``<dataset>/mAP`` instead, over all its videos at once, and ``mean/mAP`` is the
    mean over such datasets. Where there are both kinds, ``mean/main`` is the mean over all of them of top-1 or mAP.
    Every dataset counts alike, however many videos it has. Scores of a video are compared with those of its own dataset
    only, so that datasets may have other classes; the numbers are those of ``AccMetric`` on the dataset alone.

    Args:
        topk: The k of top-k, in the order in which they are reported.
        collect_device: Where results of several ranks are gathered, ``'cpu'`` or ``'gpu'``.
        prefix: Stands before all keys, with a slash behind it.

    Raises:
        UserError: ``topk`` are no whole numbers from 1 on; from ``process``, if a sample has no tag, or the name of a
            dataset is ``mean``; from ``evaluate``, if the samples of a dataset disagree on the number of classes or on
            how many labels they have.
    """

    default_prefix = ''  # MMEngine warns where there is none

    def __init__(self, topk: Sequence[int] = (1, 5), *, collect_device: str = 'cpu', prefix: str | None = None) -> None:
        super().__init__(collect_device, prefix)
        wanted = [topk] if isinstance(topk, int) else list(topk)
        if not wanted or not all(isinstance(k, int) and not isinstance(k, bool) and k > 0 for k in wanted):
            raise UserError(f'MultiDatasetMetric: topk are whole numbers from 1 on, got {topk!r}.')
        self.topk = tuple(dict.fromkeys(wanted))

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keep the scores and labels of a batch."""
        for sample in data_samples:
            name = sample.get(TAG)
            if name is None:
                raise UserError(
                    'MultiDatasetMetric: a sample has no dataset_name; put the dataset into TaggedDataset, and several '
                    'into MultiDataset.'
                )
            if name == MEAN:
                raise UserError(
                    f'MultiDatasetMetric: a dataset is called {MEAN!r}, as the mean over all is. Name it otherwise.'
                )
            scores = sample['pred_score'].float().cpu().numpy()
            label = sample['gt_label'].cpu().numpy()
            self.results.append((name, scores, label.item() if label.size == 1 else label))

    def compute_metrics(self, results: Sequence[tuple[str, np.ndarray, Any]]) -> dict[str, float]:
        """Return the numbers of each dataset in the order in which they came, then the means.

        Args:
            results: Name of the dataset, scores (K,) and label, or zeros and ones (K,), of each video.
        """
        of_dataset: dict[str, list[tuple[np.ndarray, Any]]] = {}
        for name, scores, label in results:
            of_dataset.setdefault(name, []).append((scores, label))
        found = {name: self._measure(name, videos) for name, videos in of_dataset.items()}
        return {f'{name}/{key}': value for name, part in found.items() for key, value in part.items()} | _means(found)

    def _measure(self, name: str, videos: Sequence[tuple[np.ndarray, Any]]) -> dict[str, float]:
        """The numbers of one dataset."""
        scores, labels = (list(values) for values in zip(*videos, strict=True))
        several = {isinstance(label, np.ndarray) for label in labels}
        classes = {len(one) for one in scores} | {len(label) for label in labels if isinstance(label, np.ndarray)}
        if len(several) > 1 or len(classes) > 1:
            counts = ', '.join(map(str, sorted(classes)))
            raise UserError(
                f'MultiDatasetMetric: the samples of {shown(name)!r} disagree: scores and labels of {counts} classes, '
                f'{"one label and several" if len(several) > 1 else "one kind of label"}. Does the head know the '
                'dataset by this name, and has its list multi_class=True throughout or nowhere?'
            )
        if several == {True}:
            return {MAP: _finite(float(mean_average_precision(scores, labels)), name)}
        (number,) = classes
        outside = [label for label in labels if not 0 <= label < number]
        if outside:
            raise UserError(
                f'MultiDatasetMetric: {len(outside)} of {len(labels)} labels of {shown(name)!r} are none of its '
                f'{number} classes: {first_few(sorted(set(outside)))}. Labels count from 0.'
            )
        values = top_k_accuracy(scores, labels, self.topk)
        return {f'top{k}': float(value) for k, value in zip(self.topk, values, strict=True)}


def _means(found: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The means over the datasets that have a number, and over all of top-1 (or the first top-k) or mAP."""
    keys = dict.fromkeys(key for part in found.values() for key in part)
    means = {f'{MEAN}/{key}': float(np.mean([part[key] for part in found.values() if key in part])) for key in keys}
    if MAP in keys and len(keys) > 1:
        means[f'{MEAN}/main'] = float(np.mean([next(iter(part.values())) for part in found.values()]))
    return means


def _finite(value: float, name: str) -> float:
    """Refuse the mean average precision of labels that are all zero."""
    if not math.isfinite(value):
        raise UserError(f'MultiDatasetMetric: no video of {shown(name)!r} has a label, so there is no mAP.')
    return value
