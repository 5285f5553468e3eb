"""The datasets of a loader beside those of a head, by name, before a run."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from mmengine.config import Config

from textxfer_mm.datasets.list_trees import names_of
from textxfer_mm.datasets.multi_dataset import MultiDataset
from textxfer_mm.datasets.tagged import TaggedDataset
from textxfer_mm.engine.classes import classifier_of, head_of
from textxfer_mm.errors import UserError, nearest, shown
from textxfer_mm.registry import DATASETS, look_up
from textxfer_mm.text.class_names import load_class_names, require_same_names


class HeadDataset(NamedTuple):
    """What a head knows of one of its datasets.

    Attributes:
        classes: K.
        class_names: Their names; None where the head does not know them.
        several: Whether it learns several labels a video.
    """

    classes: int
    class_names: tuple[str, ...] | None
    several: bool


def head_datasets(cfg: Mapping[str, Any]) -> dict[str, HeadDataset]:
    """The datasets of the head of a config, ``datasets`` of ``MultiDatasetHead``; empty where it has none.

    Raises:
        UserError: The class names of one are wrong.
    """
    given = head_of(cfg).get('datasets')
    found = {}
    for name, node in given.items() if isinstance(given, Mapping) else ():
        node = node if isinstance(node, Mapping) else {}
        names = load_class_names(node['class_names']) if node.get('class_names') is not None else None
        number = node.get('num_classes') if names is None else len(names)
        if isinstance(number, int):  # otherwise the head says what is wrong
            found[name] = HeadDataset(number, names, node.get('loss') == 'bce')
    return found


def tags_of(dataset: Any) -> Iterator[str]:
    """The names of the tagged datasets in the config of a dataset, in their order."""
    if not isinstance(dataset, Mapping):
        return
    if is_tag(dataset):
        yield str(dataset.get('name'))
    for part in (dataset.get('dataset'), *(dataset.get('datasets') or ())):
        yield from tags_of(part)


def is_tag(dataset: Mapping[str, Any]) -> bool:
    """Whether the config of a dataset is that of a ``TaggedDataset``."""
    return look_up(dataset.get('type'), DATASETS, dataset.get('_scope_')) is TaggedDataset


def check_tags(cfg: Config, phase: str) -> None:
    """Check that the head has a classifier for each dataset of a loader.

    Args:
        cfg: A whole config.
        phase: 'train', 'val' or 'test'.

    Raises:
        UserError: It has none for one of them, or the loader has datasets without names.
    """
    known = head_datasets(cfg)
    told = head_of(cfg).get('predict_as') is not None or (classifier_of(cfg) or {}).get('class_names') is not None
    if not known or (phase != 'train' and told):
        return
    tags = list(tags_of(cfg[f'{phase}_dataloader'].dataset))
    if not tags:
        raise UserError(
            f'The head tells {len(known)} datasets by name, and those of {phase}_dataloader have none: put each into '
            "dict(type='TaggedDataset', name='...', dataset=...), and several into dict(type='MultiDataset', "
            'datasets=[...]).'
        )
    for tag in tags:
        if tag not in known:
            raise UserError(
                f'{phase}_dataloader has the dataset {shown(tag)!r}, for which the head has no classifier (datasets of '
                f'the head).{nearest(tag, known)}'
            )


def check_classes_of_tags(cfg: Config, dataset: MultiDataset | TaggedDataset, place: str) -> None:
    """Compare the classes of each dataset with those of its classifier.

    Args:
        cfg: A whole config.
        dataset: The dataset of a loader.
        place: Where it is, for messages.

    Raises:
        UserError: They differ in number, order or names.
    """
    known = head_datasets(cfg)
    for one in dataset.datasets if isinstance(dataset, MultiDataset) else [dataset]:
        head, names = known.get(one.dataset_name), names_of(one)
        if head is None or names is None:
            continue
        what = f'{shown(one.dataset_name)!r} of {place}'
        if head.class_names is not None:
            require_same_names(names, head.class_names, what, 'its classifier')
        elif len(names) != head.classes:
            raise UserError(f'{what} has {len(names)} classes and its classifier {head.classes}: give both the same.')
