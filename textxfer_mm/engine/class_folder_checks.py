"""Folders of classes that stand for a list of images, before a run: MMPretrain labels them in alphabetical order."""

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from textxfer_mm.datasets.places import is_remote, join
from textxfer_mm.engine.annotation_lists import image_folder, image_kind
from textxfer_mm.errors import UserError, first_few, shown
from textxfer_mm.text.class_folders import letters


def check_class_folders(
    dataset: Mapping[str, Any], place: str, *, names: Sequence[str] | None, classes: int | None
) -> None:
    """Check the folders of a dataset of images that has no list.

    Args:
        dataset: The config of an innermost dataset; others than MMPretrain's ``CustomDataset`` and its kin, and what is
            behind a URL, are not looked at.
        place: Where it stands in the config.
        names: The class names of the classifier in the order of the labels; None where they are not those of the
            folders.
        classes: The number of classes of the head; None likewise.

    Raises:
        UserError: There are no such folders, as many as there are no classes, or they are called as other classes.
    """
    kind, folder = image_kind(dataset), image_folder(dataset)
    if kind is None or is_remote(folder) or not _labels_folders(dataset):
        return
    folder = os.path.normpath(folder)
    found = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    where = f'data folder {shown(folder)} of {place}'
    if not found:
        raise UserError(
            f'{where} holds no folders: without a list (ann_file), the images of each class lie in a folder of their '
            'own there.'
        )
    own = (dataset.get('metainfo') or {}).get('classes') or (getattr(kind, 'METAINFO', None) or {}).get('classes')
    for owner, number in ((f'{kind.__name__} (metainfo)', len(own) if own else None), ('the head', classes)):
        if number not in (None, len(found)):
            raise UserError(
                f'{where} holds {len(found)} folders ({first_few(map(shown, found))}), and {owner} has {number} '
                'classes: without a list (ann_file), each class needs a folder there, and nothing else may be one.'
            )
    for owner, known in (('metainfo', own), ('the classifier', names)):
        _check_order(found, known or (), where, owner)


def _labels_folders(dataset: Mapping[str, Any]) -> bool:
    """Whether MMPretrain makes labels of folders; ``ImageNet`` finds lists in ``meta`` by itself."""
    split = dataset.get('split')
    if dataset.get('ann_file') or not dataset.get('with_label', True) or split == 'test':
        return False
    return not (split and os.path.isfile(join(dataset.get('data_root'), os.path.join('meta', f'{split}.txt'))))


def _check_order(folders: Sequence[str], names: Sequence[str], where: str, owner: str) -> None:
    """Check that no folder is called as the class of another label."""
    labels: dict[str, set[int]] = defaultdict(set)
    for label, name in enumerate(names):
        labels[letters(str(name))].add(label)
    for label, folder in enumerate(folders):
        called = labels.get(letters(folder))
        if called and label not in called:
            raise UserError(
                f'{where} has no list (ann_file), so that MMPretrain labels its folders in alphabetical order: label '
                f'{label} is {shown(folder)!r}, but {owner} calls it {shown(str(names[label]))!r}. Give the class '
                'names in the order of the folders, or a list with labels in that of the names.'
            )
