"""Checks of a config's data before a run starts, so that a mistake costs seconds and one line."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from mmengine.registry import DefaultScope

from textxfer_mm.datasets.captioned import CaptionedImages, CaptionedVideos
from textxfer_mm.datasets.list_trees import lazy_config
from textxfer_mm.datasets.places import is_remote, join, missing_files
from textxfer_mm.engine.annotation_lists import AnnotationList, image_folder, image_kind, kind_of
from textxfer_mm.engine.class_folder_checks import check_class_folders
from textxfer_mm.engine.classes import class_names_of, name_classes, num_classes_of
from textxfer_mm.engine.dataset_tags import check_tags, head_datasets, is_tag
from textxfer_mm.engine.feature_checks import check_features, is_of_features
from textxfer_mm.engine.launch import RANK_VARIABLES
from textxfer_mm.engine.selection_checks import check_selection, renumbers, require_batch
from textxfer_mm.errors import UserError, first_few, nearest, shown
from textxfer_mm.registry import DATASETS as ROOT_DATASETS
from textxfer_mm.registry import look_up

from mmaction.datasets import RawframeDataset, VideoDataset  # isort: skip  (after the registry: it repairs mmaction)
from mmaction.registry import DATASETS  # isort: skip

#: What ``data_prefix`` names the folder of videos, or that of the folders of frames.
PREFIXES = {VideoDataset: 'video', RawframeDataset: 'img'}
#: What the lines of a list stand for; lists that are none of MMAction2's are of images.
_KINDS = {VideoDataset: 'videos', RawframeDataset: 'folders of frames', None: 'images'}


def check_datasets(cfg: Config, phases: Sequence[str], *, may_miss: Sequence[str] = ()) -> set[str]:
    """Check the datasets of a config without their videos.

    Annotation files and data folders must exist; the lines of stock video and raw-frame lists must be well formed, with
    labels that the head has classes for, in folders that are not called as other classes, and their videos must be
    there; see also :func:`~textxfer_mm.engine.class_folder_checks.check_class_folders` and
    :func:`~textxfer_mm.engine.selection_checks.check_selection`. What is behind a URL or another storage
    backend is not looked at. Of several ranks the first looks for the videos. Lists of class names that datasets give
    as a file or by name are read into the config.

    Args:
        cfg: A whole config.
        phases: Which dataloaders to check: 'train', 'val', 'test'.
        may_miss: Phases in which videos may be missing, up to ``max_share`` of the config's ``CorruptVideoHook``, where
            the decoding steps are tolerant; more of them, or any elsewhere, are an error.

    Returns:
        The phases whose lists have no labels; of those that are checked here only 'test' may be one.

    Raises:
        UserError: At the first mistake found.
    """
    classes, of_head = num_classes_of(cfg, required='train' in phases), head_datasets(cfg)
    names = class_names_of(cfg)
    unlabelled = set()
    for phase in phases:
        loader = cfg.get(f'{phase}_dataloader')
        whole = loader.get('dataset') if loader else None
        _check_wrappers(whole, phase)
        found: list[tuple[ConfigDict, AnnotationList]] = []
        if whole is not None:
            check_tags(cfg, phase)
        inner = list(_innermost(whole))
        for dataset, renumbered, tag in inner:
            _check_paths(dataset, phase)
            name_classes(dataset)
            if _is_first_rank(cfg):
                _check_captions(cfg, dataset)
            known = None if renumbered else of_head[tag].classes if tag in of_head else classes
            called = None if renumbered or tag is not None else names
            check_class_folders(dataset, f'{phase}_dataloader', names=called, classes=known)
            annotations = AnnotationList.of(dataset)
            if annotations is not None:
                if not annotations.rows:
                    raise UserError(f'annotation file {annotations.path} of {phase}_dataloader is empty.')
                annotations.check(train=phase == 'train', classes=known)
                if called is not None:
                    annotations.check_folders(called)
                found.append((dataset, annotations))
        is_plain = len(found) == len(inner) and not any(renumbered or tag is not None for _, renumbered, tag in inner)
        if phase == 'train' and is_plain and _is_first_rank(cfg):
            _tell_empty_classes([annotations for _, annotations in found], names or range(classes or 0))
        if _are_unlabelled([annotations for _, annotations in found], phase):
            unlabelled.add(phase)
        if _is_first_rank(cfg):
            _check_files(cfg, found, phase, tolerant=phase in may_miss)
        if whole is not None:
            check_selection(cfg, phase)
        if phase == 'train' and [whole] == [dataset for dataset, _ in found]:
            require_batch(cfg, len(found[0][1].rows))
    check_features(cfg, _features_of(cfg, phases))
    return unlabelled


def innermost_datasets(dataset: ConfigDict | None) -> Iterator[ConfigDict]:
    """Yield the innermost dataset configs: wrappers hold them under ``dataset`` or ``datasets``."""
    for inner, _, _ in _innermost(dataset):
        yield inner


def tagged_datasets(dataset: ConfigDict | None) -> Iterator[tuple[ConfigDict, str | None]]:
    """Yield the innermost dataset configs, each with the name that it is tagged with."""
    for inner, _, tag in _innermost(dataset):
        yield inner, tag


def _innermost(
    dataset: ConfigDict | None, renumbered: bool = False, tag: str | None = None
) -> Iterator[tuple[ConfigDict, bool, str | None]]:
    """Yield the innermost dataset configs, whether a wrapper gives their videos other labels, and their tag."""
    if not isinstance(dataset, dict):
        return
    inner = [*dataset.get('datasets', []), dataset.get('dataset')]
    if inner == [None]:
        yield dataset, renumbered, tag
    tag = dataset.get('name') if is_tag(dataset) else tag
    for part in inner:
        yield from _innermost(part, renumbered or renumbers(dataset), tag)


def _features_of(cfg: Config, phases: Sequence[str]) -> Iterator[tuple[str, ConfigDict, bool]]:
    """Yield phase and config of each dataset of features, and whether a wrapper gives its videos other labels."""
    for phase in phases:
        for dataset, renumbered, _ in _innermost((cfg.get(f'{phase}_dataloader') or {}).get('dataset')):
            if is_of_features(dataset):
                yield phase, dataset, renumbered


def _check_wrappers(dataset: ConfigDict | None, phase: str) -> None:
    """Check that what balances classes can ask for them."""
    if not isinstance(dataset, dict):
        return
    inner = dataset.get('dataset')
    if dataset.get('type') == 'ClassBalancedDataset' and isinstance(inner, dict):
        kind = DATASETS.get(inner['type']) if isinstance(inner.get('type'), str) else inner.get('type')
        asked = getattr(kind, 'get_cat_ids', None)
        if isinstance(kind, type) and asked in (None, BaseDataset.get_cat_ids):
            raise UserError(
                f'ClassBalancedDataset of {phase}_dataloader cannot wrap {kind.__name__}, which does not tell the '
                'labels of its entries (get_cat_ids). Wrap each list in it, and other wrappers around that.'
            )
    for part in (inner, *dataset.get('datasets', [])):
        _check_wrappers(part, phase)


def _check_paths(dataset: ConfigDict, phase: str) -> None:
    """Check that the annotation file and the data folders exist."""
    root, ann_file = dataset.get('data_root'), dataset.get('ann_file')
    if not ann_file and kind_of(dataset) is not None:
        raise UserError(f'{phase}_dataloader.dataset has no ann_file: give the list of its videos.')
    if ann_file:
        if not isinstance(ann_file, str):
            raise UserError(f'ann_file={shown(repr(ann_file))} of {phase}_dataloader is no path: text is expected.')
        path = join(root, ann_file)
        if not is_remote(path) and not os.path.isfile(path):
            folder = Path(path).parent
            if os.path.isdir(path):
                raise UserError(
                    f'annotation file {shown(path)} of {phase}_dataloader is a folder: give the list itself.'
                )
            hint = nearest(Path(path).name, os.listdir(folder)) if folder.is_dir() else f' {folder} does not exist.'
            raise UserError(f'annotation file {shown(path)} of {phase}_dataloader does not exist.{hint}')
    folders = [join(root, prefix or '') for prefix in _prefixes(dataset, phase).values()]
    for path in [image_folder(dataset)] if image_kind(dataset) is not None else folders:
        if path and not is_remote(path) and not os.path.isdir(path):
            raise UserError(
                f'data folder {shown(path)} of {phase}_dataloader (data_root, data_prefix) does not exist; '
                'files are looked for relative to the folder in which the command runs.'
            )


def _check_captions(cfg: Config, dataset: ConfigDict) -> None:
    """Read a list of captions, whose dataset says what is wrong with it."""
    kind = look_up(dataset.get('type'), ROOT_DATASETS, dataset.get('_scope_'))
    if kind in (CaptionedImages, CaptionedVideos) and not is_remote(str(dataset.ann_file)):
        with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmengine')):
            ROOT_DATASETS.build(lazy_config({**dataset, 'pipeline': []})).load_data_list()


def _prefixes(dataset: Mapping[str, Any], phase: str) -> Mapping[str, str]:
    """The ``data_prefix`` of a dataset, which stock video and raw-frame datasets read one key of."""
    prefixes, kind = dataset.get('data_prefix') or {}, kind_of(dataset)
    if kind is None:
        return prefixes if isinstance(prefixes, dict) else {}
    wanted = PREFIXES[kind]
    is_stock = dataset.get('type') in (kind, kind.__name__)
    if (
        not isinstance(prefixes, dict)
        or (prefixes and wanted not in prefixes)
        or (is_stock and prefixes.keys() - set(PREFIXES.values()))  # a base may bring that of the other kind
        or not all(isinstance(prefix, str) for prefix in prefixes.values())
    ):
        raise UserError(
            f'data_prefix={shown(repr(prefixes))} of {phase}_dataloader: {kind.__name__} takes '
            f"dict({wanted}='FOLDER'), the folder of its {_KINDS[kind]}."
        )
    return prefixes


def _tell_empty_classes(lists: Sequence[AnnotationList], names: Sequence[object]) -> None:
    """Warn of the classes that no line of the lists of a training has."""
    there = set().union(*(annotations.labels() for annotations in lists))
    empty = [name for label, name in enumerate(names) if label not in there]
    if empty:
        message = f'{len(empty)} of {len(names)} classes have no training video: {first_few(empty, 6)}.'
        print_log(message, logger='current', level=logging.WARNING)


def _are_unlabelled(lists: Sequence[AnnotationList], phase: str) -> bool:
    """Whether the lists of a phase have no labels; some with and some without are an error."""
    bare = {annotations.path: annotations.count_unlabelled() for annotations in lists}
    count, total = sum(bare.values()), sum(len(annotations.rows) for annotations in lists)
    if count == 0:
        return False
    path = next(path for path in bare if bare[path])
    lack = f'{path} of {phase}_dataloader: {count} of {total} lines have no label'
    if phase == 'val':
        raise UserError(f'{lack}, but validation needs one. Add them, or train with --no-validate.')
    if count < total:
        raise UserError(f'{lack}. Give all a label, or none: lists without any are predicted and not scored.')
    return True


def _is_first_rank(cfg: Config) -> bool:
    """Whether this is the one process, or the first of several, as far as is known before they meet."""
    if cfg.get('launcher', 'none') == 'none':
        return True
    return next((os.environ[name] for name in ('RANK', *RANK_VARIABLES) if name in os.environ), '0') == '0'


def _check_files(
    cfg: Config, found: Sequence[tuple[ConfigDict, AnnotationList]], phase: str, *, tolerant: bool
) -> None:
    """Check that the videos of the lists are there, or say how many are not."""
    missing: list[str] = []
    total, share, what = 0, _max_share(cfg) if tolerant else 0.0, 'videos'
    for dataset, annotations in found:
        kind = kind_of(dataset)
        what = _KINDS[kind]
        prefix = (
            image_folder(dataset)
            if kind is None
            else join(dataset.get('data_root'), _prefixes(dataset, phase).get(PREFIXES[kind]) or '')
        )
        missing += missing_files(annotations.files(prefix), folders=kind is RawframeDataset)
        total += len(annotations.rows)
        if not any(str(step.get('type')).startswith('Tolerant') for step in dataset.get('pipeline') or ()):
            share = 0.0
    if not missing:
        return
    message = f'{len(missing)} of {total} {what} of {phase}_dataloader are missing: {first_few(missing)}.'
    if len(missing) > share * total:
        allowed = f' More than max_share={share:g} of CorruptVideoHook allows.' if share else ''
        raise UserError(f'{message}{allowed} Restore them or take them off the annotation list.')
    print_log(f'{message} Others take their place.', logger='current', level=logging.WARNING)


def _max_share(cfg: Config) -> float:
    """The share of corrupt and missing videos that the config allows in training."""
    hooks = [hook for hook in cfg.get('custom_hooks') or () if isinstance(hook, dict)]
    return next((hook.get('max_share', 0.2) for hook in hooks if hook.get('type') == 'CorruptVideoHook'), 0.0)
