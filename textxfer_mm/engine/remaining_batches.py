"""The batches of a loader behind those that are done: their indices are drawn, their samples are not."""

import copy
from collections.abc import Iterable, Iterator
from itertools import chain, repeat
from typing import Any

from mmengine.runner import IterBasedTrainLoop
from torch.utils.data import DataLoader, IterableDataset


def sampler_of(loader: DataLoader) -> Iterable[Any]:
    """What gives the indices of batches, or of samples where the loader makes no batches."""
    return loader.sampler if loader.batch_sampler is None else loader.batch_sampler


def can_skip(loader: DataLoader) -> bool:
    """Whether what a batch draws does not depend on those before it, so that these need not be decoded again.

    In the process that trains it depends on the state of the random generators, which is restored. Data workers draw on
    from batch to batch, but for datasets that seed each batch by itself (``MultiDataset``).
    """
    seeds_batches = getattr(loader.dataset, 'seeds_batches', False)
    return not isinstance(loader.dataset, IterableDataset) and (loader.num_workers == 0 or seeds_batches)


class Remaining:
    """The indices behind the first few of a sampler.

    Args:
        sampler: Gives indices, or batches of them.
        done: How many to leave out.
    """

    def __init__(self, sampler: Iterable[Any], done: int) -> None:
        self._sampler, self._done = sampler, done
        self._rest: Iterator[Any] = iter(())
        self._left = 0

    def __iter__(self) -> Iterator[Any]:
        self._rest, self._left = iter(self._sampler), self._done
        return self

    def __next__(self) -> Any:
        self.pass_over()
        return next(self._rest)

    def pass_over(self) -> int:
        """Leave out what is done; return how many of it this pass over the sampler did not have."""
        while self._left and next(self._rest, None) is not None:
            self._left -= 1
        return self._left

    def batches_of(self, loader: DataLoader) -> Iterator[Any]:
        """Begin to load what is left of a loader, which itself stays as it is."""
        other = copy.copy(loader)
        name = 'sampler' if loader.batch_sampler is None else 'batch_sampler'
        vars(other).update({name: self, '_iterator': None})  # PyTorch lets nobody set the first of them
        batches = iter(other)
        self.pass_over()  # before random states are restored: some samplers draw when they are first asked
        return batches


def pass_over_iterations(loop: IterBasedTrainLoop) -> None:
    """Let a loop of iterations that goes on leave out the batches that are done; MMEngine decodes them again.

    Args:
        loop: The loop, before MMEngine advances its iterator.
    """
    loader, endless, left = loop.dataloader, loop.dataloader_iterator, loop.iter
    endless._iterator = None  # its workers have begun with the first batches
    while True:
        remaining = Remaining(sampler_of(loader), left)
        iter(remaining)
        more = remaining.pass_over()
        if more in (0, left):
            break
        left = more
        endless._epoch += 1
        _set_epoch(loader, endless._epoch)
    endless._iterator = Remaining(sampler_of(loader), left).batches_of(loader)
    loop.dataloader_iterator = chain(repeat(None, loop.iter), endless)  # what MMEngine advances over


def seeded_sampler(loader: DataLoader) -> Any:
    """The sampler whose order depends on a seed and an epoch, as those of MMEngine; None where there is none."""
    samplers = (loader.sampler, getattr(loader.batch_sampler, 'sampler', None))
    return next((sampler for sampler in samplers if hasattr(sampler, 'seed')), None)


def _set_epoch(loader: DataLoader, epoch: int) -> None:
    """Tell the sampler, as MMEngine does where an iterator begins anew."""
    for sampler in (loader.sampler, getattr(loader.batch_sampler, 'sampler', None)):
        if hasattr(sampler, 'set_epoch'):
            sampler.set_epoch(epoch)
            return
