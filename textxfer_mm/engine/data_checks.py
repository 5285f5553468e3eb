"""Checks of a config's data before a run starts, so that a mistake costs seconds and one line."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmengine.config import Config, ConfigDict

from textxfer_mm.engine.classes import num_classes_of
from textxfer_mm.errors import UserError, nearest

from mmaction.datasets import RawframeDataset, VideoDataset  # isort: skip  (after the registry: it repairs mmaction)
from mmaction.registry import DATASETS  # isort: skip  (stock datasets, and ours in its parent)


def check_datasets(cfg: Config, phases: Sequence[str]) -> None:
    """Check the datasets of a config without building them.

    Annotation files and data folders must exist; the lines of stock video and raw-frame lists must be well formed, with
    labels that the head has classes for. Files behind a URL or another storage backend are not looked at.

    Args:
        cfg: A whole config.
        phases: Which dataloaders to check: 'train', 'val', 'test'.

    Raises:
        UserError: At the first mistake found.
    """
    classes = num_classes_of(cfg, required='train' in phases)
    for phase in phases:
        loader = cfg.get(f'{phase}_dataloader')
        for dataset in innermost_datasets(loader.get('dataset') if loader else None):
            _check_paths(dataset, phase)
            _check_lines(dataset, phase, classes)


def innermost_datasets(dataset: ConfigDict | None) -> Iterator[ConfigDict]:
    """Yield the innermost dataset configs: wrappers hold them under ``dataset`` or ``datasets``."""
    if not isinstance(dataset, dict):
        return
    inner = [*dataset.get('datasets', []), dataset.get('dataset')]
    if inner == [None]:
        yield dataset
    for part in inner:
        yield from innermost_datasets(part)


def _join(root: str | None, path: str) -> str:
    """Join as MMEngine's datasets do: an absolute path or a URL stands for itself."""
    return path if not root or os.path.isabs(path) or _is_remote(path) else os.path.join(root, path)


def _is_remote(path: str) -> bool:
    return re.match(r'^\S+://', path) is not None


def _check_paths(dataset: ConfigDict, phase: str) -> None:
    """Check that the annotation file and the data folders exist."""
    root, ann_file = dataset.get('data_root'), dataset.get('ann_file')
    if ann_file:
        path = _join(root, ann_file)
        if not _is_remote(path) and not os.path.isfile(path):
            folder = Path(path).parent
            hint = nearest(Path(path).name, os.listdir(folder)) if folder.is_dir() else f' {folder} does not exist.'
            raise UserError(f'annotation file {path} of {phase}_dataloader does not exist.{hint}')
    prefixes = dataset.get('data_prefix') or {}
    for prefix in prefixes.values() if isinstance(prefixes, dict) else [prefixes]:
        path = _join(root, prefix or '')
        if path and not _is_remote(path) and not os.path.isdir(path):
            raise UserError(
                f'data folder {path} of {phase}_dataloader (data_root, data_prefix) does not exist; '
                'files are looked for relative to the folder in which the command runs.'
            )


def _check_lines(dataset: ConfigDict, phase: str, classes: int | None) -> None:
    """Check the lines of a stock video or raw-frame list."""
    kind = DATASETS.get(dataset['type']) if isinstance(dataset.get('type'), str) else dataset.get('type')
    ann_file = dataset.get('ann_file')
    if not ann_file or not isinstance(kind, type) or not issubclass(kind, VideoDataset | RawframeDataset):
        return
    path = _join(dataset.get('data_root'), ann_file)
    if _is_remote(path):
        return
    # Columns before the labels: video | frame_dir [offset] total_frames
    leading = 1 if issubclass(kind, VideoDataset) else 2 + bool(dataset.get('with_offset'))
    delimiter = dataset.get('delimiter', ' ') if issubclass(kind, VideoDataset) else None
    multi, count = dataset.get('multi_class', False), 0
    with open(path, encoding='utf-8') as lines:
        for count, line in enumerate(lines, 1):
            mistake = _mistake(
                line.strip().split(delimiter), leading, multi=multi, train=phase == 'train', classes=classes
            )
            if mistake:
                raise UserError(f'{path}, line {count} ({line.strip()!r}): {mistake}')
    if count == 0:
        raise UserError(f'annotation file {path} of {phase}_dataloader is empty.')


def _mistake(columns: list[str], leading: int, *, multi: bool, train: bool, classes: int | None) -> str | None:
    """Say what is wrong with one split line of an annotation list, if anything."""
    if not columns or not columns[0]:
        return 'an empty line; remove it.'
    numbers, labels = columns[1:leading], columns[leading:]
    if not all(re.fullmatch(r'-?\d+', text) for text in numbers + labels):
        return 'expected a path followed by whole numbers; if paths hold spaces, set `delimiter` of the dataset.'
    if len(numbers) < leading - 1:
        return f'expected {leading} columns before the label, found {len(columns)}.'
    if not labels and train:
        return 'no label, but training needs one.'
    if len(labels) > 1 and not multi:
        return f'{len(labels)} labels; set multi_class=True and num_classes of the dataset for several.'
    for label in map(int, labels):
        if label < 0 or (classes is not None and label >= classes):
            known = 'labels count from 0' if classes is None else f'the head has {classes} classes, 0 to {classes - 1}'
            return f'label {label} is out of range: {known}.'
    return None
