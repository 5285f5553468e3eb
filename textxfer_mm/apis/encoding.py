"""The one loop over videos: several processes share them, and what cannot be decoded is left out and named."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_dist_info
from mmengine.logging import print_log
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from textxfer_mm.datasets import corrupt_record
from textxfer_mm.datasets.list_trees import lazy_config
from textxfer_mm.datasets.transforms_video import CorruptVideoError
from textxfer_mm.errors import UserError, first_line

from mmaction.registry import DATASETS  # isort: skip  (after the registry: it repairs mmaction)

#: Told what is done and what is to be done.
Progress = Callable[[int, int], None]
#: Makes of N items of a dataset tensors of N rows each, for example the features of one model or of several.
Encode = Callable[[list[Any]], Sequence[Tensor]]


class Videos(Dataset):
    """Some videos of a dataset as ``(position, data, reason)``, with data None where a video cannot be decoded.

    Args:
        dataset: A dataset of MMEngine, a wrapper with ``get_data_info``, or the config of one.
        choose: Given the labels of all videos, the indices of those that are wanted; None takes all.

    Attributes:
        labels: The label of each, as the dataset has it.
        names: The file or folder of each.

    Raises:
        UserError: There are none.
    """

    def __init__(self, dataset: Any, choose: Callable[[list[Any]], list[int]] | None = None):
        dataset = read_dataset(dataset)
        infos = [dataset.get_data_info(index) for index in range(len(dataset))]
        given = [info.get('label', info.get('gt_label')) for info in infos]
        self.dataset = dataset
        self.indices = list(range(len(given))) if choose is None else choose(given)
        self.labels = [given[index] for index in self.indices]
        self.names = [_name(infos[index], index) for index in self.indices]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> tuple[int, Any, str]:
        try:
            with corrupt_record.nobody_reads():
                return position, self.dataset[self.indices[position]], ''
        except CorruptVideoError as error:
            return position, None, error.reason
        except (ImportError, MemoryError, UserError):
            raise
        except Exception as error:
            return position, None, first_line(error)


def read_dataset(dataset: Any) -> Any:
    """A dataset, or what is built of its config, with its lists read.

    Raises:
        UserError: They are empty.
    """
    try:
        if isinstance(dataset, Mapping):
            dataset = DATASETS.build(lazy_config(dataset))  # some classes read their list all the same
        dataset.full_init()
        if len(dataset):
            return dataset
    except ValueError as error:
        if 'need at least one array' not in str(error):  # what MMEngine makes of a dataset without samples
            raise
    raise UserError('The list of videos (ann_file of the dataset) is empty.')


def label_tensor(labels: Sequence[Any]) -> Tensor:
    """Labels of n videos as a tensor: (n,), or (n, K) of zeros and ones."""
    if not labels or isinstance(labels[0], int | np.integer):
        return torch.tensor([int(label) for label in labels], dtype=torch.int64)
    return torch.stack([torch.as_tensor(label) for label in labels]).to(torch.uint8)


def _name(info: Mapping[str, Any], index: int) -> str:
    """What to call a video."""
    named = (info.get(key) for key in ('filename', 'frame_dir', 'img_path'))
    return next((str(name) for name in named if name), f'number {index}')


@dataclass(frozen=True)
class Encoded:
    """What :func:`encode_videos` made.

    Attributes:
        rows: Tensors by position, those that ``encode`` made of this video; sorted.
        skipped: Reasons by position of what could not be decoded; sorted.
    """

    rows: dict[int, tuple[Tensor, ...]]
    skipped: dict[int, str]

    def stacked(self) -> tuple[Tensor, ...]:
        """The rows of all videos in the order of the list, as tensors (n, ...)."""
        return tuple(torch.stack(parts) for parts in zip(*self.rows.values(), strict=True))


@torch.no_grad()
def encode_videos(
    videos: Videos, encode: Encode, loader: Mapping[str, Any], progress: Progress | None = None
) -> Encoded:
    """Encode videos; with several processes each encodes its share, and all return the whole.

    Nothing is repeated to make the shares equal. Videos that cannot be decoded are left out and named in a warning.

    Args:
        videos: What to encode.
        encode: Makes tensors (N, ...) of N of their data.
        loader: A dataloader config, whose ``batch_size`` and ``num_workers`` are used.
        progress: Called with the number of finished videos of this process and the number of all of its share.

    Raises:
        UserError: None can be decoded.
    """
    rank, world_size = get_dist_info()
    rows: dict[int, tuple[Tensor, ...]] = {}
    skipped: dict[int, str] = {}
    for good in decoded(videos, range(rank, len(videos), world_size), loader, skipped, progress):
        parts = [tensor.cpu() for tensor in encode(list(good.values()))]
        rows.update({position: tuple(part[n].clone() for part in parts) for n, position in enumerate(good)})
    for part, left_out in all_gather_object((rows, skipped)):
        rows.update(part)
        skipped.update(left_out)
    tell_skipped(videos, skipped)
    return Encoded(dict(sorted(rows.items())), dict(sorted(skipped.items())))


def decoded(
    videos: Dataset,
    order: Sequence[int],
    loader: Mapping[str, Any],
    skipped: dict[int, str],
    progress: Progress | None = None,
) -> Iterator[dict[int, Any]]:
    """Yield batches of data by position, without the videos that cannot be decoded.

    Args:
        videos: A dataset that gives what :class:`Videos` gives.
        order: The positions of those that are wanted, in their order.
        loader: See :func:`encode_videos`.
        skipped: Gets the reasons by position of what could not be decoded.
        progress: Called with the number of finished videos and the number of all, after what was yielded is used.
    """
    batches = DataLoader(
        videos,
        batch_size=loader.get('batch_size', 1),
        sampler=order,
        num_workers=loader.get('num_workers', 0),
        collate_fn=list,
        generator=torch.Generator(),  # the global random state is left alone
    )
    done = 0
    for batch in batches:
        skipped.update({position: reason for position, data, reason in batch if data is None})
        good = {position: data for position, data, _ in batch if data is not None}
        if good:
            yield good
        done += len(batch)
        if progress:
            progress(done, len(order))


def tell_skipped(videos: Videos, skipped: Mapping[int, str]) -> None:
    """Name the videos that could not be decoded, if there are some.

    Raises:
        UserError: None of them could.
    """
    lines = sorted(f'{videos.names[position]}: {reason}' for position, reason in skipped.items())
    if not lines:
        return
    if len(lines) == len(videos):
        raise UserError(f'None of the {len(videos)} videos could be decoded, such as {lines[0]}.')
    headline = f'{len(lines)} of {len(videos)} videos could not be decoded and are left out:'
    print_log('\n  '.join([headline, *lines]), logger='current', level=logging.WARNING)
