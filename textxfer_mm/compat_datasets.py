"""Repairs of MMAction2's and MMEngine's datasets; apart from :mod:`textxfer_mm.compat`, as they need these modules."""

import functools
from collections.abc import Callable
from typing import Any

from textxfer_mm.text_files import decode_text, split_lines

__all__ = ['apply', 'read_list']


def apply() -> None:
    """Apply all repairs; the second call does nothing."""
    read_any_list()
    tell_categories()
    copy_each_on_its_own()


def read_list(path: str, **options: Any) -> list[str]:
    """Return the lines of an annotation list, wherever MMEngine's file backends find it.

    Args:
        path: A path or URL.
        options: The remaining options of ``mmengine.fileio.get``.

    Raises:
        UserError: It is no text; see :func:`~textxfer_mm.text_files.decode_text`.
    """
    from mmengine.fileio import get

    return split_lines(decode_text(get(path, **options), path))


def read_any_list() -> None:
    """Let ``VideoDataset`` and ``RawframeDataset`` read what spreadsheets and Windows write, or refuse it.

    Cause: they read lists as UTF-8 without a mark, so that the mark (BOM) becomes part of the first path, whose video
    is then missing, and an empty line at the end becomes a video without a name
    (https://github.com/open-mmlab/mmaction2/blob/v1.2.0/mmaction/datasets/video_dataset.py).
    """
    from mmaction.datasets import rawframe_dataset, video_dataset

    for module in (video_dataset, rawframe_dataset):
        if getattr(module, 'list_from_file', None) is not None:
            module.list_from_file = read_list


def tell_categories() -> None:
    """Let ``ClassBalancedDataset`` wrap MMAction2's datasets.

    Cause: it asks for ``get_cat_ids``, which none of them has
    (https://github.com/open-mmlab/mmaction2/blob/v1.2.0/mmaction/datasets/base.py).
    """
    from mmaction.datasets.base import BaseActionDataset
    from mmengine.dataset import BaseDataset

    if BaseActionDataset.get_cat_ids is BaseDataset.get_cat_ids:
        BaseActionDataset.get_cat_ids = _labels_of(BaseDataset.get_data_info)


def copy_each_on_its_own() -> None:
    """Let ``get_subset`` copy the dataset that it is asked of, and nothing of others.

    Cause: the memo of the copy is a default argument, which all copies of a process share. It holds the ids of datasets
    that are gone; a new object with such an id is not copied, but the copy of the old dataset takes its place, so that
    the pipeline of a subset may be another dataset
    (https://github.com/open-mmlab/mmengine/blob/v0.10.7/mmengine/dataset/base_dataset.py#L808).
    """
    from mmengine.dataset import BaseDataset

    released = BaseDataset._copy_without_annotation
    if not isinstance((released.__defaults__ or (None,))[0], dict):
        return

    @functools.wraps(released)
    def copy(self: Any, memo: dict[int, Any] | None = None) -> Any:
        return released(self, {} if memo is None else memo)

    BaseDataset._copy_without_annotation = copy


def _labels_of(get_data_info: Callable[[Any, int], dict[str, Any]]) -> Callable[[Any, int], list[int]]:
    """The method that gives the labels of one entry, before several become a vector of zeros and ones."""

    def get_cat_ids(self: Any, idx: int) -> list[int]:
        """Return the labels of an entry."""
        label = get_data_info(self, idx)['label']
        return list(label) if isinstance(label, list | tuple) else [label]

    return get_cat_ids
