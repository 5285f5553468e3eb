"""Dataloaders for other lists of videos than those of a config, prepared as the config's are."""

import copy
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from textxfer_mm.datasets.places import join, missing_files
from textxfer_mm.engine.annotation_lists import AnnotationList, image_folder, image_kind, kind_of
from textxfer_mm.engine.data_checks import PREFIXES, innermost_datasets
from textxfer_mm.errors import UserError, first_few, nearest
from textxfer_mm.inputs import require_file

from mmaction.datasets import RawframeDataset  # isort: skip  (after the registry: it repairs mmaction)


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
    root = Path(data_root) if data_root is not None else file.parent
    loader.dataset = dataset = with_list(loader.dataset, file, root, option)
    dataset.test_mode = True
    annotations = AnnotationList.of(dataset)
    if not annotations.rows:
        raise UserError(f'{option} {list_file} is empty.')
    annotations.check(train=True, classes=None)
    missing = missing_files(annotations.files(str(root)), folders=kind_of(dataset) is RawframeDataset)
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
    loader.dataset = each_once(training.dataset, next(innermost_datasets(loader.dataset)).pipeline)
    return loader


def with_list(dataset: ConfigDict, file: str | Path, root: str | Path | None, option: str) -> ConfigDict:
    """The innermost dataset of a config, with another annotation list.

    Args:
        dataset: The config of a dataset or of wrappers around it; it is not changed.
        file: The list.
        root: The folder where its paths begin; None takes that of the dataset's own list.
        option: What the list was given as, for the message.

    Raises:
        UserError: The dataset takes no list of videos.
    """
    made = copy.deepcopy(next(innermost_datasets(dataset)))
    kind = kind_of(made)
    if kind is None and image_kind(made) is not None:
        own, pipeline = image_folder(made), made.get('pipeline')
        listed = dict(type='mmpretrain.CustomDataset', ann_file=str(file), pipeline=pipeline, test_mode=True)
        return ConfigDict(listed, data_prefix=own if root is None else str(root))
    if kind is None:
        raise UserError(
            f'{option} {file} is a list of videos or images, and the config reads {made.get("type")}, which takes '
            "none. Give a config with a VideoDataset, a RawframeDataset, or MMPretrain's CustomDataset or ImageNet."
        )
    prefix = PREFIXES[kind]
    own = join(made.pop('data_root', None), (made.get('data_prefix') or {}).get(prefix) or '')
    made.update(ann_file=str(file), data_prefix={prefix: own if root is None else str(root)})
    return made


def each_once(dataset: ConfigDict, pipeline: list[dict[str, Any]]) -> ConfigDict:
    """The config of a dataset without repetitions, in test mode, with another pipeline in its innermost datasets."""
    if dataset['type'] in ('RepeatDataset', 'ClassBalancedDataset'):
        return each_once(dataset['dataset'], pipeline)
    made = copy.deepcopy(dataset)
    if made['type'] == 'FewShotDataset':
        made['repeat'] = 'none'
    if 'dataset' in made:
        made['dataset'] = each_once(made['dataset'], pipeline)
    elif 'datasets' in made:
        made['datasets'] = [each_once(part, pipeline) for part in made['datasets']]
    else:
        made.update(pipeline=pipeline, test_mode=True)
    return made
