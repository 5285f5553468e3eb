"""The lists at the bottom of a dataset: opened to be changed and closed again, through the wrappers around them.

A dataset is a list (MMEngine's ``BaseDataset``) or a wrapper that holds others under ``dataset`` or ``datasets``. What
replaces a corrupt video is drawn by the list itself, so whoever selects videos must shorten the list.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset, ClassBalancedDataset, ConcatDataset, RepeatDataset

from textxfer_mm.errors import UserError, shown
from textxfer_mm.registry import DATASETS, look_up
from textxfer_mm.registry_errors import accepted_arguments

#: Wrappers that do the same with a shorter list: they repeat or join what they hold.
_WRAPPERS = (ConcatDataset, RepeatDataset, ClassBalancedDataset)
#: Keys of a label: MMAction2's and MMPretrain's.
_LABELS = ('label', 'gt_label')
#: Keys of what an entry is called, and of the folder before it in ``data_prefix``.
_NAMES = dict(filename='video', frame_dir='img', img_path='img_path', audio_path='audio')


@dataclass(frozen=True, slots=True)
class Row:
    """A video of an open list.

    Attributes:
        owner: The list.
        entry: Its annotation there.
        key: Where its label is.
    """

    owner: BaseDataset
    entry: dict[str, Any]
    key: str

    @property
    def label(self) -> Any:
        """A label, or several."""
        return self.entry[self.key]

    @property
    def labels(self) -> tuple[int, ...]:
        """The label, or all of them."""
        several = isinstance(self.label, list | tuple | np.ndarray)
        return tuple(map(int, self.label)) if several else (int(self.label),)

    @property
    def name(self) -> str:
        """What the video is called in its list, without the folder before it; empty where entries have no names."""
        for key, kind in _NAMES.items():
            if key in self.entry:
                prefix = str((self.owner.data_prefix or {}).get(kind) or '')
                return str(self.entry[key]).removeprefix(prefix).lstrip('/\\')
        return ''

    def relabelled(self, new: Mapping[int, int]) -> 'Row':
        """The same video with other labels; of several, those that have none are dropped."""
        labels = [new[label] for label in self.labels if label in new]
        several = isinstance(self.label, list | tuple | np.ndarray)
        return Row(self.owner, {**self.entry, self.key: labels if several else labels[0]}, self.key)


def own(dataset: Any, asker: str) -> Any:
    """Build a dataset from its config, lists unread where it can be; one that is given is copied, and left as it is.

    Args:
        dataset: A list, a wrapper around lists, or the config of one.
        asker: Who asks, for messages.

    Raises:
        UserError: It is something else.
    """
    built = DATASETS.build(lazy_config(dataset)) if isinstance(dataset, Mapping) else _copied(dataset)
    _require_lists(built, asker)
    return built


def lazy_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a dataset that leaves its list unread, as far as its class can."""
    result = dict(config)
    if isinstance(result.get('dataset'), Mapping):
        result['dataset'] = lazy_config(result['dataset'])
    if isinstance(result.get('datasets'), list | tuple):
        result['datasets'] = [lazy_config(part) if isinstance(part, Mapping) else part for part in result['datasets']]
    kind = look_up(result.get('type'), DATASETS, result.get('_scope_'))
    if kind is not None and 'lazy_init' in (accepted_arguments(kind) or ()):
        result['lazy_init'] = True
    return result


def _copied(node: Any) -> Any:
    """A copy whose lists can be changed; what is large is shared until then."""
    if isinstance(node, BaseDataset):
        other = node._copy_without_annotation()
        vars(other).update({key: value for key, value in vars(node).items() if key not in vars(other)})
        return other
    other = copy.copy(node)
    if hasattr(node, 'dataset'):
        other.dataset = _copied(node.dataset)
    if hasattr(node, 'datasets'):
        other.datasets = [_copied(part) for part in node.datasets]
    return other


def _require_lists(node: Any, asker: str) -> None:
    if isinstance(node, BaseDataset):
        return
    if not _recounts(node) and not hasattr(node, 'apply_selection'):
        raise UserError(
            f'{asker} wraps a dataset such as VideoDataset, its config, or {", ".join(w.__name__ for w in _WRAPPERS)} '
            f'around some, not {type(node).__name__}; put other wrappers around {asker}.'
        )
    for part in parts(node):
        _require_lists(part, asker)


def _recounts(node: Any) -> bool:
    """Whether it is a wrapper that does the same with a shorter list."""
    return isinstance(node, _WRAPPERS) or getattr(node, 'recounts', False)


def parts(node: Any) -> list[Any]:
    """What a wrapper holds; nothing for a list."""
    if isinstance(node, BaseDataset):
        return []
    return list(node.datasets) if hasattr(node, 'datasets') else [node.dataset]


def lists_of(node: Any) -> Iterator[BaseDataset]:
    """Yield the lists of a dataset, in their order."""
    if isinstance(node, BaseDataset):
        yield node
    for part in parts(node):
        yield from lists_of(part)


def open_lists(node: Any) -> None:
    """Read the lists of a dataset, plain, and apply the selections in it, the innermost first."""
    if isinstance(node, BaseDataset):
        _open(node)
        return
    for part in parts(node):
        open_lists(part)
    if hasattr(node, 'apply_selection'):
        node.apply_selection()


def _open(owner: BaseDataset) -> None:
    """Let ``data_list`` hold the entries of a list."""
    if owner._fully_initialized:
        entries = [BaseDataset.get_data_info(owner, index) for index in range(len(owner))]
        for entry in entries:
            del entry['sample_idx']
        owner.data_list = entries
        return
    is_serialized, owner.serialize_data = owner.serialize_data, False
    try:
        owner.full_init()
    finally:
        owner.serialize_data = is_serialized


def close_lists(node: Any) -> None:
    """Store the lists of a dataset as MMEngine does, and let the wrappers count anew."""
    if isinstance(node, BaseDataset):
        if not node.data_list:
            node.serialize_data = False  # which MMEngine cannot do to an empty list
        elif node.serialize_data:
            node.data_bytes, node.data_address = node._serialize_data()
        return
    for part in parts(node):
        close_lists(part)
    if _recounts(node):
        node._fully_initialized = False
        node.full_init()


def rows_of(node: Any, asker: str) -> list[Row]:
    """The videos of all open lists of a dataset, one after another.

    Raises:
        UserError: Their entries have no label, or one that is no number.
    """
    rows = []
    for owner in lists_of(node):
        for entry in owner.data_list:
            key = next((key for key in _LABELS if key in entry), None)
            if key is None:
                raise UserError(
                    f'{asker} selects by label, and {type(owner).__name__} has none (its entries are '
                    f'{", ".join(sorted(entry))}).'
                )
            if not _is_label(entry[key]):
                raise UserError(
                    f'{asker} selects by label, a whole number or several; {type(owner).__name__} has '
                    f'{key}={shown(repr(entry[key]), 80)}.'
                )
            rows.append(Row(owner, entry, key))
    return rows


def _is_label(value: Any) -> bool:
    """Whether it is a whole number, or several."""
    several = value if isinstance(value, list | tuple | np.ndarray) else [value]
    return all(isinstance(one, int | np.integer) for one in several)


def keep_rows(node: Any, rows: list[Row]) -> None:
    """Let the open lists of a dataset hold these videos, each list its own."""
    kept: dict[int, list[dict[str, Any]]] = {id(owner): [] for owner in lists_of(node)}
    for row in rows:
        kept[id(row.owner)].append(row.entry)
    for owner in lists_of(node):
        owner.data_list = kept[id(owner)]


def categories_of(node: Any, index: int) -> list[int]:
    """The labels of one entry, for ``ClassBalancedDataset``, which MMEngine's own wrappers do not tell."""
    if hasattr(node, 'get_cat_ids'):
        return node.get_cat_ids(index)
    place = node._get_ori_dataset_idx(index)
    if isinstance(place, tuple):
        return categories_of(node.datasets[place[0]], place[1])
    return categories_of(node.dataset, place)


def names_of(node: Any) -> tuple[str, ...] | None:
    """The class names of a dataset, in the order of its labels; None where it knows none.

    Raises:
        UserError: The datasets that it joins have other ones.
    """
    if isinstance(node, BaseDataset):
        names = node.metainfo.get('classes')
        return tuple(names) if isinstance(names, list | tuple) and names else None
    if hasattr(node, 'class_names'):  # a selection, or a tag
        return node.class_names
    found = {names_of(part) for part in parts(node)}
    if len(found - {None}) > 1:
        one, two = sorted(found - {None})[:2]
        raise UserError(
            f'{type(node).__name__} joins datasets of other classes: {len(one)} from {shown(one[0])!r} to '
            f'{shown(one[-1])!r}, and {len(two)} from {shown(two[0])!r} to {shown(two[-1])!r}.'
        )
    return found.pop() if len(found) == 1 else None


def source_of(node: Any) -> str:
    """Where the videos of a dataset are listed, for messages."""
    owners = list(lists_of(node))
    name = str(getattr(owners[0], 'ann_file', '') or type(owners[0]).__name__)
    return shown(name) + (f' and {len(owners) - 1} more' if len(owners) > 1 else '')
