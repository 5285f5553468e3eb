"""Dataloaders for other lists of videos than those of a config, prepared as the config's are."""

import copy
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from textxfer_mm.engine.annotation_lists import AnnotationList, kind_of, missing_files
from textxfer_mm.engine.data_checks import PREFIXES, innermost_datasets
from textxfer_mm.errors import UserError, first_few, nearest
from textxfer_mm.inputs import require_file


def loader_of_list(
    cfg: Config, list_file: str | Path, *, option: str, data_root: str | Path | None = None, phase: str = 'val'
) -> ConfigDict:
    """The dataloader of a phase, for the videos of another list.

    Args:
        cfg: A config with that dataloader.
        list_file: An annotation list, with a label a line.
        option: What the list was given as, for messages.
        data_root: The folder where the paths in the list begin; None takes that of the list.
        phase: ``'val'`` or ``'test'``.

    Raises:
        UserError: There is no such list, it is empty or malformed, or videos of it are missing; or the config has no
            such dataloader, or one of another kind of data.
    """
    file = require_file(list_file, f'list {option}', '*.txt')
    loader = copy.deepcopy(loader_of_phase(cfg, phase))
    dataset = next(innermost_datasets(loader.dataset))
    kind = kind_of(dataset)
    if kind is None:
        raise UserError(
            f'{option} {list_file}: {phase}_dataloader of the config reads {dataset.get("type")}, which takes no list '
            'of videos. Give a config with a VideoDataset or RawframeDataset.'
        )
    root = Path(data_root) if data_root is not None else file.parent
    dataset.update(ann_file=str(file), data_prefix={PREFIXES[kind]: str(root)}, test_mode=True)
    dataset.pop('data_root', None)
    loader.dataset = dataset
    annotations = AnnotationList.of(dataset)
    if not annotations.rows:
        raise UserError(f'{option} {list_file} is empty.')
    annotations.check(train=True, classes=None)
    missing = missing_files(annotations.files(str(root)), folders=PREFIXES[kind] == 'img')
    if missing:
        raise UserError(
            f'{len(missing)} of {len(annotations.rows)} videos of {option} {list_file} are missing: '
            f'{first_few(missing)}. Give the folder where the paths begin as --data-root.'
        )
    return loader


def loader_of_phase(cfg: Config, phase: str) -> ConfigDict:
    """The dataloader of a phase.

    Raises:
        UserError: The config has none.
    """
    known = [name for name in ('train', 'val', 'test') if cfg.get(f'{name}_dataloader')]
    if phase not in known:
        raise UserError(f'The config has no {phase}_dataloader to take videos from.{nearest(phase, known)}')
    return cfg[f'{phase}_dataloader']


def training_list(cfg: Config) -> ConfigDict:
    """The dataloader of the validation, for the training videos: each of them once, in one view."""
    loader, training = copy.deepcopy(loader_of_phase(cfg, 'val')), loader_of_phase(cfg, 'train')
    pipeline = next(innermost_datasets(loader.dataset)).pipeline
    loader.dataset = _with_pipeline(copy.deepcopy(training.dataset), pipeline)
    return loader


def _with_pipeline(dataset: ConfigDict, pipeline: list[dict[str, Any]]) -> ConfigDict:
    """A dataset without repetitions, whose innermost datasets have another pipeline."""
    while dataset.type in ('RepeatDataset', 'ClassBalancedDataset'):
        dataset = dataset.dataset
    for part in innermost_datasets(dataset):
        part.update(pipeline=pipeline, test_mode=True)
    return dataset


def largest_label(loader: ConfigDict) -> int | None:
    """The largest label in the lists of a dataloader; None where they cannot be read."""
    lists = [AnnotationList.of(dataset) for dataset in innermost_datasets(loader['dataset'])]
    labels = [
        int(label) for found in lists if found is not None for row in found.rows for label in row[found.leading :]
    ]
    return max(labels, default=None)


def shuffled(loader: dict[str, Any]) -> dict[str, Any]:
    """The same dataloader in random order."""
    return {**loader, 'sampler': dict(type='DefaultSampler', shuffle=True)}
