"""Annotation lists of stock datasets of videos, frames and images: lines, labels and files, read as these do."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from textxfer_mm.compat_datasets import read_list
from textxfer_mm.datasets.places import is_remote, join
from textxfer_mm.errors import UserError, shown
from textxfer_mm.registry import DATASETS as ROOT_DATASETS
from textxfer_mm.registry import look_up
from textxfer_mm.text.class_folders import require_order_of_folders

from mmaction.datasets import RawframeDataset, VideoDataset  # isort: skip  (after the registry: it repairs mmaction)
from mmaction.registry import DATASETS  # isort: skip  (stock datasets, and ours in its parent)

#: What reads lists of images, and the scope of its types.
_OF_IMAGES, _MMPRETRAIN = 'mmpretrain.datasets.custom.CustomDataset', 'mmpretrain'


def kind_of(dataset: Mapping[str, Any]) -> type | None:
    """``VideoDataset`` or ``RawframeDataset``, if a dataset config is one of them or of their kin."""
    kind = DATASETS.get(dataset['type']) if isinstance(dataset.get('type'), str) else dataset.get('type')
    kinds = (VideoDataset, RawframeDataset)
    return next((base for base in kinds if isinstance(kind, type) and issubclass(kind, base)), None)


def image_kind(dataset: Mapping[str, Any]) -> type | None:
    """MMPretrain's ``CustomDataset`` or its kin (``ImageNet``), if a dataset config is one of them: they take a list.

    MMPretrain is asked about types that MMAction2 does not know.
    """
    kind = dataset.get('type')
    if isinstance(kind, str):
        kind = DATASETS.get(kind) or look_up(kind, ROOT_DATASETS, _MMPRETRAIN)
    bases = kind.__mro__ if isinstance(kind, type) else ()
    return kind if any(f'{base.__module__}.{base.__name__}' == _OF_IMAGES for base in bases) else None


def image_folder(dataset: Mapping[str, Any]) -> str:
    """Where the paths of a list of images begin, as MMPretrain joins them."""
    prefix = dataset.get('data_prefix') or dataset.get('split') or ''
    return join(dataset.get('data_root'), prefix.get('img_path') or '' if isinstance(prefix, Mapping) else prefix)


@dataclass(frozen=True)
class AnnotationList:
    """The split lines of a list.

    Attributes:
        path: The list.
        rows: The columns of each line.
        leading: How many columns come before the labels.
        several: Whether a line may have several labels.
    """

    path: str
    rows: list[list[str]]
    leading: int
    several: bool

    @classmethod
    def of(cls, dataset: Mapping[str, Any]) -> 'AnnotationList | None':
        """Read the list of a dataset config; None where it is none of those that are known, or remote.

        Raises:
            UserError: It is no text.
        """
        kind, ann_file = kind_of(dataset), dataset.get('ann_file')
        path = join(dataset.get('data_root'), ann_file or '')
        if not ann_file or is_remote(path) or (kind is None and image_kind(dataset) is None):
            return None
        if kind is None:
            labelled = dataset.get('with_label', True)
            rows = [line.strip().rsplit(' ', 1) if labelled else [line.strip()] for line in read_list(path)]
            return cls(path, rows, 1, False)
        # Columns before the labels: video | frame_dir [offset] total_frames
        leading = 1 if kind is VideoDataset else 2 + bool(dataset.get('with_offset'))
        delimiter = dataset.get('delimiter', ' ') if kind is VideoDataset else None
        rows = [line.strip().split(delimiter) for line in read_list(path)]
        return cls(path, rows, leading, bool(dataset.get('multi_class')))

    def check(self, *, train: bool, classes: int | None) -> None:
        """Check that each line is a path, numbers and labels that there are classes for.

        Raises:
            UserError: At the first line that is not.
        """
        for number, row in enumerate(self.rows, 1):
            mistake = _mistake(row, self.leading, several=self.several, train=train, classes=classes)
            if mistake:
                raise UserError(f"{self.path}, line {number} ('{shown(' '.join(row))}'): {mistake}")

    def check_folders(self, class_names: Sequence[str]) -> None:
        """Check that the folders of the videos, where they are called as classes, are those of their labels.

        Args:
            class_names: The names in the order of the labels.

        Raises:
            UserError: The names are in another order.
        """
        try:
            require_order_of_folders(
                ((row[0], [int(label) for label in row[self.leading :]]) for row in self.rows), class_names
            )
        except UserError as error:
            raise UserError(f'{self.path}: {error}') from error

    def labels(self) -> set[int]:
        """The labels that a line has; the lines have been checked."""
        return {int(label) for row in self.rows for label in row[self.leading :]}

    def count_unlabelled(self) -> int:
        """How many lines have no label; where lines may have several, none or all of them count."""
        bare = sum(len(row) <= self.leading for row in self.rows)
        return bare if not self.several or bare == len(self.rows) else 0

    def files(self, prefix: str) -> list[str]:
        """The video or folder of frames of each line, as the dataset joins it."""
        return [os.path.join(prefix, row[0]) for row in self.rows]


def _mistake(columns: list[str], leading: int, *, several: bool, train: bool, classes: int | None) -> str | None:
    """Say what is wrong with one split line of an annotation list, if anything."""
    if not columns or not columns[0]:
        return 'an empty line; remove it.'
    numbers, labels = columns[1:leading], columns[leading:]
    if not all(re.fullmatch(r'-?\d{1,18}', text) for text in numbers + labels):
        return 'expected a path followed by whole numbers; if paths hold spaces, set `delimiter` of the dataset.'
    if len(numbers) < leading - 1:
        return f'expected {leading} columns before the label, found {len(columns)}.'
    if not labels and train:
        return 'no label, but training needs one; if other than spaces divide path and label, set `delimiter`.'
    if len(labels) > 1 and not several:
        return f'{len(labels)} labels; set multi_class=True and num_classes of the dataset for several.'
    for label in map(int, labels):
        if label < 0 or (classes is not None and label >= classes):
            known = 'labels count from 0' if classes is None else f'the head has {classes} classes, 0 to {classes - 1}'
            return f'label {label} is out of range: {known}.'
    return None
