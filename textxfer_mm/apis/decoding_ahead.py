"""Videos and images decoded by processes ahead of the model, in their order; what cannot be decoded costs itself."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from textxfer_mm.apis.prediction_inputs import PredictionInputs
from textxfer_mm.datasets import corrupt_record
from textxfer_mm.datasets.transforms_video import CorruptVideoError
from textxfer_mm.errors import first_line
from textxfer_mm.video.media import Medium

#: Parcels that each process holds ready, and the most files in one: sending one costs as much as a small video does.
_AHEAD, _PARCEL = 2, 4
#: The most processes by default.
_MOST = 16


class Decoded(NamedTuple):
    """A video or an image as the model takes it.

    Attributes:
        position: Which it is.
        samples: What :class:`~textxfer_mm.apis.prediction_inputs.PredictionInputs` made of it; None after a failure.
        reason: Why it could not be decoded; empty otherwise.
    """

    position: int
    samples: list[Any] | None
    reason: str


def decode(inputs: PredictionInputs, medium: Medium, position: int) -> Decoded:
    """Decode one video or image; a failure is an answer too."""
    try:
        with corrupt_record.nobody_reads():
            samples = inputs(medium)
        for sample in samples:  # the label is none, and each tensor costs the processes half a millisecond
            sample['data_samples'].pop('gt_label', None)
        return Decoded(position, samples, '')
    except (ImportError, MemoryError):
        raise
    except Exception as error:
        reason = error.reason if isinstance(error, CorruptVideoError) else first_line(error)
        return Decoded(position, None, reason)


def default_workers(number: int, on_gpu: bool) -> int:
    """How many processes decode a number of files: none for a few, and beside a model on the CPU half of the cores."""
    if number < 4 or multiprocessing.current_process().daemon:  # a data worker may have none of its own
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    cores //= int(os.environ.get('LOCAL_WORLD_SIZE', 1))  # torchrun: that many processes of this machine share them
    return max(1, min(cores if on_gpu else cores // 2, _MOST, number // 2))


def decode_ahead(inputs: PredictionInputs, media: Sequence[Medium], workers: int) -> Iterator[Decoded]:
    """Decode in processes, ahead of whoever takes the results; they come in order.

    A process that dies, as native code does of some files, costs the file that killed it: those that were under way are
    decoded once more, each by a process of its own.

    Args:
        inputs: The pipeline.
        media: Videos and images.
        workers: Number of processes; 0 decodes in this one.
    """
    dataset, done = _Media(inputs, media), 0
    if workers == 0:
        for position in range(len(media)):
            yield decode(inputs, media[position], position)
        return
    size = max(1, min(_PARCEL, len(media) // (4 * workers)))
    while done < len(media):
        try:
            with _loading(dataset, _parcels(done, len(media), size), workers) as parcels:
                for parcel in parcels:
                    for item in _unpacked(parcel):
                        yield item
                        done += 1
        except RuntimeError as error:
            if not _is_of_a_dead_worker(error):
                raise
            for position in range(done, min(done + workers * _AHEAD * size, len(media))):
                yield _decode_alone(dataset, position)
                done += 1


#: Decoded files, and the tensors of all their samples of equal shape in one, each with these samples.
_Parcel = tuple[list[Decoded], list[tuple[list[Any], Tensor]]]


class _Media(Dataset):
    """What is to be decoded, for a ``DataLoader``; an index is the positions of a parcel."""

    def __init__(self, inputs: PredictionInputs, media: Sequence[Medium]) -> None:
        self._inputs, self._media = inputs, media

    def __len__(self) -> int:
        return len(self._media)

    def __getitem__(self, positions: Sequence[int]) -> _Parcel:
        items = [decode(self._inputs, self._media[position], position) for position in positions]
        alike: dict[Any, list[Any]] = {}
        for sample in (sample for item in items for sample in item.samples or ()):
            alike.setdefault((sample['inputs'].shape, sample['inputs'].dtype), []).append(sample)
        return items, [
            (samples, torch.stack([sample.pop('inputs') for sample in samples])) for samples in alike.values()
        ]


def _parcels(start: int, stop: int, size: int) -> list[range]:
    """Positions, in parcels."""
    return [range(first, min(first + size, stop)) for first in range(start, stop, size)]


def _as_it_is(parcel: _Parcel) -> _Parcel:
    """Keep PyTorch from making copies of the samples."""
    return parcel


def _unpacked(parcel: _Parcel) -> list[Decoded]:
    """The decoded files of a parcel."""
    items, stacks = parcel
    for samples, stacked in stacks:
        for sample, inputs in zip(samples, stacked, strict=True):
            sample['inputs'] = inputs
    return items


@contextmanager
def _loading(dataset: _Media, order: Sequence[range], workers: int) -> Iterator[Iterator[_Parcel]]:
    """Start the processes; they end with the context."""
    options = dict(num_workers=workers, prefetch_factor=_AHEAD, collate_fn=_as_it_is)
    loader = DataLoader(dataset, batch_size=None, sampler=order, **options)
    in_main_thread = threading.current_thread() is threading.main_thread()
    on_child = signal.getsignal(signal.SIGCHLD) if in_main_thread else None
    threads = cv2.getNumThreads()
    cv2.setNumThreads(0)  # its threads do not survive a fork
    try:
        parcels = iter(loader)
    finally:
        cv2.setNumThreads(threads)
        if in_main_thread:  # else a process that dies raises wherever this one is: in the midst of the model, too
            signal.signal(signal.SIGCHLD, on_child or signal.SIG_DFL)
    try:
        yield parcels
    finally:
        del parcels


def _decode_alone(dataset: _Media, position: int) -> Decoded:
    """Decode one in a process of its own."""
    try:
        with _loading(dataset, _parcels(position, position + 1, 1), 1) as parcels:
            return _unpacked(next(parcels))[0]
    except RuntimeError as error:
        if not _is_of_a_dead_worker(error):
            raise
        return Decoded(position, None, 'it kills the process that decodes it')


def _is_of_a_dead_worker(error: RuntimeError) -> bool:
    """Whether it is what PyTorch raises when a process has ended that should not."""
    return 'DataLoader worker (pid' in str(error)
