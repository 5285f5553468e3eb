"""What selections leave of a dataset, its classes beside those of the classifier, and its batches, before a run."""

import logging
import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.dataset import DefaultSampler
from mmengine.logging import print_log
from mmengine.registry import DefaultScope

from textxfer_mm.datasets.class_subset import ClassSubsetDataset
from textxfer_mm.datasets.few_shot import FewShotDataset
from textxfer_mm.datasets.list_trees import lazy_config, names_of
from textxfer_mm.datasets.multi_dataset import MultiDataset
from textxfer_mm.datasets.places import is_remote, join
from textxfer_mm.datasets.selected import SelectedDataset
from textxfer_mm.datasets.tagged import TaggedDataset
from textxfer_mm.engine.classes import class_names_of, num_classes_of
from textxfer_mm.engine.dataset_tags import check_classes_of_tags, head_datasets
from textxfer_mm.errors import UserError
from textxfer_mm.registry import DATA_SAMPLERS, DATASETS, look_up
from textxfer_mm.text.class_names import require_same_names

#: Where launchers say how many ranks there are.
_SIZES = ('WORLD_SIZE', 'SLURM_NTASKS', 'OMPI_COMM_WORLD_SIZE')


def check_selection(cfg: Config, phase: str) -> None:
    """Check a dataset of which some classes or videos are selected, or whose classes are named.

    It is built without its videos: lists are read where something is selected from them, unless they are behind a URL.

    Args:
        cfg: A whole config.
        phase: 'train', 'val' or 'test'.

    Raises:
        UserError: Nothing can be selected as the config says, the classes of dataset and classifier differ in number,
            order or names, or ``drop_last=True`` leaves no batch.
    """
    loader = cfg[f'{phase}_dataloader']
    nodes = list(_nodes(loader.dataset))
    selects = any(_is_of(node, SelectedDataset) for node in nodes)
    keys = ('classes', 'class_names')
    named = any((node.get('metainfo') or {}).get('classes') or any(map(node.get, keys)) for node in nodes)
    if not selects and not named:
        return
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmengine')):
        dataset = DATASETS.build(lazy_config(loader.dataset))
        if selects and not any(is_remote(join(node.get('data_root'), node.get('ann_file') or '')) for node in nodes):
            dataset.full_init()
            if phase == 'train':
                require_batch(cfg, len(dataset), has_single_videos=any(map(_is_one_shot, nodes)))
    _check_classes(cfg, dataset, f'{phase}_dataloader')


def renumbers(dataset: Any) -> bool:
    """Whether a dataset config gives the videos in it other labels than their lists."""
    return _is_of(dataset, ClassSubsetDataset)


def require_batch(cfg: Config, length: int, *, has_single_videos: bool = False) -> None:
    """Check that the training makes a batch; without one, MMEngine ends epoch after epoch without a step.

    Args:
        cfg: A whole config.
        length: Number of videos of an epoch.
        has_single_videos: Whether classes may have one video only, which the log then warns of.

    Raises:
        UserError: All videos are left out.
    """
    loader = cfg.train_dataloader
    sampler = loader.get('sampler') or {}
    is_default = look_up(sampler.get('type'), DATA_SAMPLERS) is DefaultSampler
    if not loader.get('drop_last') or not is_default or loader.get('batch_sampler'):
        return
    ranks, size = _ranks(cfg), loader.batch_size
    each = math.ceil(length / ranks)
    if each < size:
        of = f' on each of {ranks} ranks' if ranks > 1 else ''
        raise UserError(
            f'train_dataloader makes no batch: it has {each} videos{of}, batch_size={size} and drop_last=True. Set '
            'drop_last=False, or a smaller batch_size.'
        )
    if has_single_videos and each % size:
        print_log(
            f'train_dataloader has drop_last=True: each epoch leaves out {each % size * ranks} of {length} videos, and '
            'with each of them a class that has one video. Set drop_last=False.',
            logger='current',
            level=logging.WARNING,
        )


def _check_classes(cfg: Config, dataset: Any, place: str) -> None:
    """Compare the classes of a dataset with those of the head."""
    if isinstance(dataset, MultiDataset | TaggedDataset) and (head_datasets(cfg) or isinstance(dataset, MultiDataset)):
        check_classes_of_tags(cfg, dataset, place)
        return
    names, classifier = names_of(dataset), class_names_of(cfg)
    if names is not None and classifier is not None:
        require_same_names(names, classifier, place, 'the classifier')
        return
    number, known = num_classes_of(cfg, required=False), _number_of(dataset, names)
    if number is not None and known is not None and number != known:
        raise UserError(f'{place} has {known} classes and the head {number}: give both the same classes.')


def _number_of(dataset: Any, names: tuple[str, ...] | None) -> int | None:
    """How many classes a dataset has, where it says so."""
    if names is not None:
        return len(names)
    while not isinstance(dataset, ClassSubsetDataset):
        dataset = getattr(dataset, 'dataset', None)
        if dataset is None:
            return None
    return dataset.num_classes


def _nodes(dataset: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the configs of a dataset and of all in it."""
    if not isinstance(dataset, Mapping):
        return
    yield dataset
    for part in (dataset.get('dataset'), *(dataset.get('datasets') or ())):
        yield from _nodes(part)


def _is_of(node: Any, kind: type) -> bool:
    found = look_up(node.get('type'), DATASETS, node.get('_scope_')) if isinstance(node, Mapping) else None
    return isinstance(found, type) and issubclass(found, kind)


def _is_one_shot(node: Mapping[str, Any]) -> bool:
    return _is_of(node, FewShotDataset) and node.get('shots') == 1 and node.get('repeat', 'none') == 'none'


def _ranks(cfg: Config) -> int:
    """How many processes train, as far as the launcher says before they meet."""
    if cfg.get('launcher', 'none') == 'none':
        return 1
    return next((int(os.environ[name]) for name in _SIZES if os.environ.get(name, '').isdecimal()), 1)
