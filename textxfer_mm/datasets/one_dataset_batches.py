"""Batches of one dataset each, for evaluations in which datasets have other numbers of views."""

import bisect
from collections.abc import Iterator
from typing import Any

from torch.utils.data import Sampler

from textxfer_mm.datasets.multi_dataset import spans_of
from textxfer_mm.errors import UserError
from textxfer_mm.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class OneDatasetBatchSampler(Sampler[list[int]]):
    """Cuts the order of a sampler into batches, anew where a dataset ends.

    The order itself stays: what ``DefaultSampler`` repeats at the end, so that all ranks have as many samples, is where
    MMEngine expects it when it gathers the results, and nothing counts twice. Ranks may have other numbers of batches.

    In a config: ``sampler=dict(type='DefaultSampler', shuffle=False)`` and
    ``batch_sampler=dict(type='OneDatasetBatchSampler')`` in ``val_dataloader`` and ``test_dataloader``.

    Args:
        sampler: A sampler of the indices of a ``MultiDataset``, in their order.
        batch_size: The most samples of a batch.

    Raises:
        UserError: The sampler shuffles, so that most batches would hold a sample or two, or its dataset has no names.
    """

    def __init__(self, sampler: Any, batch_size: int) -> None:
        name = type(self).__name__
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
            raise UserError(f'{name}: batch_size is a whole number of at least 1, got {batch_size!r}.')
        if getattr(sampler, 'shuffle', False):
            raise UserError(f'{name} keeps the order of the sampler, which shuffles: set shuffle=False of it.')
        self.sampler, self.batch_size = sampler, batch_size
        self._ends = [span.stop for span in spans_of(getattr(sampler, 'dataset', None), name).values()]

    def __iter__(self) -> Iterator[list[int]]:
        batch: list[int] = []
        for index in self.sampler:
            if batch and (len(batch) == self.batch_size or self._number(index) != self._number(batch[-1])):
                yield batch
                batch = []
            batch.append(index)
        if batch:
            yield batch

    def __len__(self) -> int:
        """The number of batches on this rank."""
        return sum(1 for _ in self)

    def _number(self, index: int) -> int:
        """The number of the dataset that a sample is of."""
        return bisect.bisect_right(self._ends, index)
