"""Samplers that draw from several datasets in given shares, over an epoch or in every batch."""

import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from textxfer_mm.datasets.multi_dataset import spans_of
from textxfer_mm.datasets.ratios import counts_of, even_turns, exact_shares, period_of
from textxfer_mm.errors import UserError, shown
from textxfer_mm.registry import DATA_SAMPLERS

#: What is drawn, so that no two draws of one seed are alike.
_PASS, _ORDER, _WITHIN = range(3)


@DATA_SAMPLERS.register_module()
class DatasetRatioSampler(Sampler[int]):
    """Draws from the datasets of a ``MultiDataset`` in given shares.

    An epoch has the samples of each dataset by its share, less than one from it, in a random order that is dealt to the
    ranks in turns. A dataset is drawn without replacement: one that is too small for its share begins anew, and one
    that is too large goes on in the next epoch where it was, so that over the epochs all of its samples count alike.
    The order is a function of seed, epoch, rank and number of ranks alone.

    Args:
        dataset: A ``MultiDataset``, or a ``TaggedDataset``.
        ratios: A number for each dataset, such as ``dict(labelled=25, captioned=75)``; 0 leaves a dataset out. Of two
            datasets also the share of the first alone, from 0 to 1.
        length: Samples of an epoch over all ranks, rounded up to the same number for each. By default as many as the
            datasets have whose share is not 0.
        seed: Seed of the order; MMEngine's runner gives its own. None: one that the ranks agree on.

    Raises:
        UserError: The dataset has no names, the ratios are wrong (see
            :func:`~textxfer_mm.datasets.ratios.exact_shares`), the length is none, or a dataset to draw from is empty.
    """

    def __init__(
        self,
        dataset: Any,
        ratios: Mapping[str, float] | float,
        *,
        length: int | None = None,
        seed: int | None = None,
    ) -> None:
        name = type(self).__name__
        self.dataset, self.spans = dataset, spans_of(dataset, name)
        self.shares = exact_shares(ratios, tuple(self.spans), name)
        empty = [one for one, span in self.spans.items() if self.shares[one] and not span]
        if empty:
            raise UserError(f'{name}: {shown(empty[0])!r} has no samples; give it the ratio 0.')
        if length is None:
            length = sum(len(span) for one, span in self.spans.items() if self.shares[one])
        if not isinstance(length, int) or isinstance(length, bool) or length < 1:
            raise UserError(f'{name}: length is a whole number of at least 1, got {length!r}.')
        self.rank, self.world_size = get_dist_info()
        self.num_samples = math.ceil(length / self.world_size)
        self.seed, self.epoch = sync_random_seed() if seed is None else seed, 0

    def __iter__(self) -> Iterator[int]:
        total = self.num_samples * self.world_size
        counts = counts_of(self.shares, total)
        indices = np.concatenate([self.draws(name, count) for name, count in counts.items()])
        order = self.generator(_ORDER, self.epoch).permutation(total)
        return iter(indices[order][self.rank :: self.world_size].tolist())

    def __len__(self) -> int:
        """The number of samples of an epoch on this rank."""
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, before it begins."""
        self.epoch = epoch

    def draws(self, name: str, count: int) -> np.ndarray:
        """The indices that this epoch draws from a dataset, if every epoch draws so many (count,)."""
        span, number = self.spans[name], list(self.spans).index(name)
        if not count:
            return np.empty(0, dtype=int)
        begin, end = self.epoch * count, (self.epoch + 1) * count
        passes = range(begin // len(span), (end - 1) // len(span) + 1)
        drawn = np.concatenate([self.generator(_PASS, number, one).permutation(len(span)) for one in passes])
        return span.start + drawn[begin - passes.start * len(span) :][:count]

    def generator(self, *key: int) -> np.random.Generator:
        """A generator that depends on the seed and on what is drawn, equal on all ranks."""
        return np.random.default_rng([self.seed, *key])


@DATA_SAMPLERS.register_module()
class DatasetRatioBatchSampler(Sampler[list[int]]):
    """Gives every batch of every rank the shares of a :class:`DatasetRatioSampler`.

    Where ``batch_size`` times a share is a whole number, each batch has exactly so many samples of that dataset;
    otherwise what is left over takes turns, and no number of batches is ever one sample or more from its share. Within
    a batch the order is random, so that a partner of MixUp may be of any dataset.

    In a config: ``sampler=dict(type='DatasetRatioSampler', ratios=...)`` and
    ``batch_sampler=dict(type='DatasetRatioBatchSampler')`` in ``train_dataloader``.

    Args:
        sampler: The sampler, which knows the shares and the length of an epoch.
        batch_size: Samples of a batch on a rank.
        drop_last: Whether to leave out a last batch that is smaller.

    Raises:
        UserError: The sampler is another one, or no batch is full.
    """

    def __init__(self, sampler: DatasetRatioSampler, batch_size: int, drop_last: bool = True) -> None:
        if not isinstance(sampler, DatasetRatioSampler):
            raise UserError(
                f'{type(self).__name__} needs sampler=dict(type="DatasetRatioSampler", ratios=...), not '
                f'{type(sampler).__name__}.'
            )
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
            raise UserError(f'{type(self).__name__}: batch_size is a whole number of at least 1, got {batch_size!r}.')
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last
        if not len(self):
            raise UserError(
                f'{type(self).__name__} makes no batch: an epoch has {len(sampler)} samples on a rank, '
                f'batch_size={batch_size} and drop_last=True. Set drop_last=False, or a smaller batch_size.'
            )
        ranks, full = sampler.world_size, len(sampler) // batch_size
        self._sizes = [batch_size] * full + [len(sampler) % batch_size] * (len(self) > full)
        self._turns = _turns(sampler, sum(self._sizes) * ranks)

    def __iter__(self) -> Iterator[list[int]]:
        """Deal the turns: to each rank so many that follow each other, then the next batches."""
        sampler = self.sampler
        indices = np.empty(len(self._turns), dtype=int)
        for number, name in enumerate(sampler.spans):
            places = self._turns == number
            indices[places] = sampler.draws(name, int(places.sum()))
        generator = sampler.generator(_WITHIN, sampler.epoch, sampler.rank)
        begin = 0
        for size in self._sizes:
            mine = begin + sampler.rank * size
            yield generator.permutation(indices[mine : mine + size]).tolist()
            begin += sampler.world_size * size

    def __len__(self) -> int:
        """The number of batches of an epoch on this rank."""
        rounded = math.floor if self.drop_last else math.ceil
        return rounded(len(self.sampler) / self.batch_size)


def _turns(sampler: DatasetRatioSampler, total: int) -> np.ndarray:
    """The number of the dataset whose turn it is (total,)."""
    numbers = {name: number for number, name in enumerate(sampler.spans)}
    period = min(period_of(sampler.shares), total)
    first = [numbers[name] for name in islice(even_turns(sampler.shares), period)]
    return np.resize(np.array(first, dtype=np.int16), total)
