"""A dataset whose samples say which dataset they are of, so that several with labels of their own share a loader."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from textxfer_mm.datasets.list_trees import categories_of, lazy_config, names_of, parts
from textxfer_mm.errors import UserError, shown
from textxfer_mm.registry import DATASETS
from textxfer_mm.text.class_names import load_class_names, require_same_names

#: The meta field of a data sample, or the entry of a sample without one, that names the dataset.
TAG = 'dataset_name'
#: The meta field with the one label of a sample, as a number.
INDEX = 'gt_index'


@DATASETS.register_module()
class TaggedDataset:
    """Writes the name of a dataset into each of its samples, after the pipeline.

    The meta field ``dataset_name`` of ``data_samples`` gets it, in every copy of a repeated sample; a sample without
    ``data_samples`` gets it as an entry. A label that is one index is written beside it, as ``gt_index``: meta fields
    stay on the CPU, where heads and blendings read it without waiting for a GPU. What replaces a corrupt video is of
    the same dataset, and tagged as well. Selections (``FewShotDataset``, ...) and ``ClassBalancedDataset`` may be
    inside it or around it.

    Args:
        name: What the dataset is called; any characters.
        dataset: A dataset, or the config of one.
        class_names: The names of its classes, in the order of its labels: a list, a file, or the name of a dataset
            (:func:`~textxfer_mm.text.class_names.load_class_names`). By default ``metainfo['classes']`` of the dataset.
        lazy_init: Whether to leave reading the list to :meth:`full_init`, which MMEngine's runner calls.

    Raises:
        UserError: The name is empty or no text, the dataset is tagged already or none, or knows other class names.
    """

    #: A selection around it may shorten the list within.
    recounts = True

    def __init__(
        self,
        name: str,
        dataset: Any,
        *,
        class_names: str | Path | Sequence[str] | None = None,
        lazy_init: bool = False,
    ) -> None:
        if not isinstance(name, str) or not name:
            raise UserError(f'TaggedDataset: name is what the dataset is called, got {shown(repr(name))}.')
        self.dataset_name = name
        self._given_names = None if class_names is None else load_class_names(class_names)
        self.dataset = DATASETS.build(lazy_config(dataset)) if isinstance(dataset, Mapping) else dataset
        _require_untagged(self.dataset, name)
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of the classes in the order of the labels; None where they are not known.

        Raises:
            UserError: The dataset has other ones than were given.
        """
        inside = names_of(self.dataset)
        if self._given_names is None:
            return inside
        if inside is not None:
            place = f'TaggedDataset {shown(self.dataset_name)!r}'
            require_same_names(inside, self._given_names, f'the dataset in {place}', f'class_names of {place}')
        return self._given_names

    @property
    def metainfo(self) -> dict[str, Any]:
        """The meta information of the dataset, with ``dataset_name``, and ``classes`` where they are known."""
        names = self.class_names
        return {**self.dataset.metainfo, TAG: self.dataset_name} | ({} if names is None else dict(classes=names))

    def full_init(self) -> None:
        """Read the list of the dataset, once."""
        if not self._fully_initialized:
            self.dataset.full_init()
            self._fully_initialized = True

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Return the annotation of a sample, with ``dataset_name``."""
        return {**self.dataset.get_data_info(idx), TAG: self.dataset_name}

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the labels of a sample, for ``ClassBalancedDataset``."""
        return categories_of(self.dataset, idx)

    def __getitem__(self, idx: int) -> Any:
        return _tagged(self.dataset[idx], self.dataset_name)

    def __len__(self) -> int:
        self.full_init()
        return len(self.dataset)


def _require_untagged(node: Any, name: str) -> None:
    """Refuse a dataset that has a tag inside, since nobody could tell which one counts."""
    if not all(hasattr(node, method) for method in ('full_init', 'get_data_info', 'metainfo')):
        raise UserError(
            f'TaggedDataset {shown(name)!r} wraps a dataset of MMEngine or the config of one, not '
            f'{type(node).__name__}.'
        )
    if hasattr(node, TAG):
        raise UserError(f'TaggedDataset {shown(name)!r} holds {shown(node.dataset_name)!r}, which has a tag already.')
    for part in parts(node) if hasattr(node, 'dataset') or hasattr(node, 'datasets') else ():
        _require_untagged(part, name)


def _tagged(sample: Any, name: str) -> Any:
    """Write the tag into a sample, or into each copy of a repeated one."""
    if isinstance(sample, list | tuple):
        return type(sample)(_tagged(one, name) for one in sample)
    if 'data_samples' not in sample:
        return {**sample, TAG: name}
    packed = sample['data_samples']
    for one in packed if isinstance(packed, list | tuple) else [packed]:
        one.set_metainfo({TAG: name, **_index_of(one)})
    return sample


def _index_of(packed: Any) -> dict[str, int]:
    """The meta field of the label, where it is one index."""
    label = packed.get('gt_label')
    is_index = isinstance(label, Tensor) and label.numel() == 1 and not label.is_floating_point()
    return {INDEX: int(label)} if is_index else {}
