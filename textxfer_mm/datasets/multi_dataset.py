"""Several datasets in one loader, each with its own pipeline, labels and class names."""

import bisect
import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch.utils.data import get_worker_info

from textxfer_mm.datasets.batches import flat_batch
from textxfer_mm.datasets.list_trees import lazy_config
from textxfer_mm.datasets.tagged import TAG, TaggedDataset
from textxfer_mm.errors import UserError, first_few, nearest, shown
from textxfer_mm.registry import DATASETS


@DATASETS.register_module()
class MultiDataset:
    """Tagged datasets one after another; a batch may hold samples of all of them.

    MMEngine's ``ConcatDataset`` joins parts of one dataset and refuses other classes; here each dataset keeps its own,
    and ``metainfo`` is a dict of theirs by name. With ``DefaultSampler(shuffle=True)`` a batch is a random mixture in
    proportion to the lengths, as in MultiTrain (supplementary material and released code); for other shares there is
    ``DatasetRatioSampler``. The copies of repeated samples (``RepeatAugment``, ``RepeatAugDataset``) come side by side,
    and a batch whose clips differ in shape is refused; no ``collate_fn`` is needed for either.

    In data workers the random generators are seeded anew for each batch, from the seed of the epoch and the indices in
    the batch, so that a run resumed within an epoch draws what the run that was never stopped draws.

    Args:
        datasets: ``TaggedDataset`` objects or configs of different names. Parts of one dataset are joined by a
            ``ConcatDataset`` inside a ``TaggedDataset``.
        replicas: How often a dataset follows itself, by name; 1 where none is given (``MULTI_REPLICAS`` of the released
            code).
        lazy_init: Whether to leave reading the lists to :meth:`full_init`, which MMEngine's runner calls.

    Raises:
        UserError: There is no dataset, one has no tag, two have one name, or ``replicas`` are not whole numbers from 1
            on of known names.
    """

    #: Whether what a batch draws depends on its indices and the epoch alone, whatever was drawn before it.
    seeds_batches = True

    def __init__(
        self,
        datasets: Sequence[Any],
        *,
        replicas: Mapping[str, int] | None = None,
        lazy_init: bool = False,
    ) -> None:
        if isinstance(datasets, str | Mapping) or not isinstance(datasets, Sequence) or not datasets:
            raise UserError(f'MultiDataset: datasets is a list of TaggedDataset; got {shown(repr(datasets), 80)}.')
        self.datasets: list[TaggedDataset] = []
        for number, dataset in enumerate(datasets):
            built = DATASETS.build(lazy_config(dataset)) if isinstance(dataset, Mapping) else dataset
            if not isinstance(built, TaggedDataset):
                raise UserError(
                    f'MultiDataset: dataset {number} is a {type(built).__name__}; wrap it: dict(type="TaggedDataset", '
                    "name='...', dataset=...), around everything else."
                )
            self.datasets.append(built)
        self.replicas = _replicas(self.dataset_names, replicas or {})
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    @property
    def dataset_names(self) -> tuple[str, ...]:
        """The names of the datasets in their order."""
        return tuple(dataset.dataset_name for dataset in self.datasets)

    @property
    def metainfo(self) -> dict[str, dict[str, Any]]:
        """The meta information of each dataset, by name: ``classes``, where their names are known."""
        return {dataset.dataset_name: dataset.metainfo for dataset in self.datasets}

    def full_init(self) -> None:
        """Read the lists, once.

        Raises:
            UserError: A dataset has no samples.
        """
        if self._fully_initialized:
            return
        for dataset in self.datasets:
            dataset.full_init()
            if not len(dataset):
                raise UserError(f'MultiDataset: {shown(dataset.dataset_name)!r} has no samples.')
        self._ends = list(accumulate(len(one) * self.replicas[one.dataset_name] for one in self.datasets))
        self._fully_initialized = True

    @property
    def spans(self) -> dict[str, range]:
        """The indices of each dataset, replicas included."""
        self.full_init()
        return {name: range(*ends) for name, ends in zip(self.dataset_names, _pairs(self._ends), strict=True)}

    def place(self, idx: int) -> tuple[str, int]:
        """Return the dataset of a sample and its index there.

        Raises:
            IndexError: There is no such sample.
        """
        dataset, index = self._place(idx)
        return dataset.dataset_name, index

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Return the annotation of a sample, with ``dataset_name``."""
        dataset, index = self._place(idx)
        return dataset.get_data_info(index)

    def __getitem__(self, idx: int) -> Any:
        dataset, index = self._place(idx)
        return dataset[index]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """Return the samples of a batch; loaders ask for them so.

        Raises:
            UserError: Their shapes differ, see :func:`~textxfer_mm.datasets.batches.flat_batch`.
        """
        _seed_batch(indices)
        return flat_batch([self[index] for index in indices])

    def __len__(self) -> int:
        self.full_init()
        return self._ends[-1]

    def _place(self, idx: int) -> tuple[TaggedDataset, int]:
        idx = range(len(self))[idx]
        number = bisect.bisect_right(self._ends, idx)
        begin = self._ends[number - 1] if number else 0
        return self.datasets[number], (idx - begin) % len(self.datasets[number])


def spans_of(dataset: Any, asker: str) -> dict[str, range]:
    """The indices of each dataset in a ``MultiDataset``, or of a ``TaggedDataset`` alone.

    Args:
        dataset: The dataset of a loader.
        asker: Who asks, for messages.

    Raises:
        UserError: It is neither.
    """
    if isinstance(dataset, MultiDataset):
        return dataset.spans
    if isinstance(dataset, TaggedDataset):
        return {getattr(dataset, TAG): range(len(dataset))}
    raise UserError(f'{asker} needs a MultiDataset, whose datasets have names; got {type(dataset).__name__}.')


def _pairs(ends: Sequence[int]) -> Iterator[tuple[int, int]]:
    return zip([0, *ends[:-1]], ends, strict=True)


def _replicas(names: Sequence[str], given: Mapping[str, int]) -> dict[str, int]:
    """How often each dataset is there."""
    twice = [name for number, name in enumerate(names) if name in names[:number]]
    if twice:
        raise UserError(
            f'MultiDataset: two datasets are called {shown(twice[0])!r}. Join parts of one dataset by a ConcatDataset '
            'inside one TaggedDataset.'
        )
    if not isinstance(given, Mapping):
        raise UserError(f'MultiDataset: replicas is a dict of whole numbers by name, got {shown(repr(given), 80)}.')
    for name, times in given.items():
        if name not in names:
            raise UserError(f'MultiDataset: replicas name {shown(repr(name))}.{nearest(str(name), names)}')
        if not isinstance(times, int) or isinstance(times, bool) or times < 1:
            raise UserError(
                f'MultiDataset: replicas of {shown(name)!r} is a whole number from 1 on, got {shown(repr(times))}. '
                f'Leave a dataset out of {first_few(names)} to train without it.'
            )
    return {name: given.get(name, 1) for name in names}


def _seed_batch(indices: Sequence[int]) -> None:
    """Seed the generators of a data worker for a batch; those of the training process are left alone."""
    worker = get_worker_info()
    if worker is None:
        return
    key = repr((worker.seed - worker.id, list(map(int, indices))))  # the seed that PyTorch drew for the epoch
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], 'little')
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
