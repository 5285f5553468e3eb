"""Some of the classes of a dataset, numbered anew: training on seen ones, testing on unseen ones."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log

from textxfer_mm.datasets.class_splits import draw_classes, other_classes
from textxfer_mm.datasets.list_trees import Row, lists_of, source_of
from textxfer_mm.datasets.selected import SelectedDataset
from textxfer_mm.errors import UserError, first_few, nearest, shown
from textxfer_mm.registry import DATASETS
from textxfer_mm.text.class_names import folded, load_class_names


@DATASETS.register_module()
class ClassSubsetDataset(SelectedDataset):
    """Wraps a dataset and keeps the videos of some classes, whose labels then count from 0.

    The new labels follow the order of ``classes``, so that the classifier is given the same list; those of a draw and
    of ``invert`` follow the old labels. ``metainfo['classes']`` has the names of the kept classes in the new order,
    where names are known, and a run checks them against the classifier. A video of several labels keeps those among
    the classes. What else holds is said at :class:`~textxfer_mm.datasets.selected.SelectedDataset`.

    Args:
        dataset: A dataset of videos with labels, or its config.
        classes: Names or labels of the classes; a file of names, or the name of a list such as
            ``'kinetics400_seen300'``.
        count: Instead of ``classes``, the number of classes that are drawn, see
            :func:`~textxfer_mm.datasets.class_splits.draw_classes`.
        fraction: Instead of ``classes``, the share of the classes that is drawn, rounded down; 0.5 is
            :func:`~textxfer_mm.datasets.class_splits.half_class_split`.
        seed: Seed of the draw.
        invert: Whether to keep all other classes instead.
        options: ``class_names`` (all names, in the order of the labels of ``dataset``) and ``lazy_init``, see
            :class:`~textxfer_mm.datasets.selected.SelectedDataset`.

    Raises:
        UserError: A class is unknown or there twice, names are needed and not known, no class or no video is left, or
            the dataset is none that can be selected from.
    """

    def __init__(
        self,
        dataset: Any,
        classes: str | Path | Sequence[str] | Sequence[int] | None = None,
        *,
        count: int | None = None,
        fraction: float | None = None,
        seed: int = 0,
        invert: bool = False,
        **options: Any,
    ) -> None:
        if sum(given is not None for given in (classes, count, fraction)) != 1:
            raise UserError('ClassSubsetDataset takes one of `classes`, `count` and `fraction`.')
        if fraction is not None and not (isinstance(fraction, int | float) and 0 < fraction <= 1):
            raise UserError(f'fraction of ClassSubsetDataset is above 0 and at most 1; got {fraction!r}.')
        self.classes = None if classes is None else _listed(classes)
        self.count, self.fraction, self.seed, self.invert = count, fraction, seed, invert
        super().__init__(dataset, **options)

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of the kept classes in the order of their new labels; None where they are not known."""
        names = self._names_inside()
        return None if names is None else tuple(names[label] for label in self._labels(names))

    def choose(self, rows: list[Row]) -> list[Row]:
        """Keep the videos of the classes, with their new labels."""
        names, present = self._names_inside(), {label for row in rows for label in row.labels}
        labels = self._labels(names, present)
        absent = [label for label in labels if label not in present]
        if absent and names is None:
            raise UserError(
                f'no video has label {first_few(absent)}. Labels without videos need class_names, the names of all '
                'classes of the dataset.'
            )
        if absent and len(absent) < len(labels):
            few = first_few(f'{names[label]} (label {label})' for label in absent)
            message = f'{len(absent)} of {len(labels)} classes have no video in {source_of(self)}: {few}.'
            print_log(message, logger='current', level=logging.WARNING)
        for owner in lists_of(self.dataset):
            if getattr(owner, 'multi_class', False):
                owner.num_classes = len(labels)
        new = {label: number for number, label in enumerate(labels)}
        return [row.relabelled(new) for row in rows if new.keys() & row.labels]

    def _labels(self, names: Sequence[str] | None, present: Iterable[int] = ()) -> list[int]:
        """The old labels of the kept classes, in the order of the new ones."""
        total = len(names) if names is not None else max(present, default=-1) + 1
        if self.classes is not None:
            labels = [self._label(given, names, total) for given in self.classes]
            if len(set(labels)) < len(labels):
                twice = next(given for number, given in enumerate(self.classes) if labels[number] in labels[:number])
                raise UserError(f'classes has {shown(twice)!r} twice; each class has one label.')
        elif names is None:
            raise UserError(
                'a draw is among all classes, and how many there are is not known: give class_names (a list, a file or '
                'the name of a dataset), or classes=[label, ...].'
            )
        else:
            count = self.count if self.count is not None else int(self.fraction * total + 1e-9)
            if count == 0:
                raise UserError(f'fraction={self.fraction} of {total} classes is less than one class.')
            labels = draw_classes(total, count, self.seed)
        if not self.invert:
            return labels
        others = other_classes(total, labels)
        if not others:
            raise UserError(f'all {total} classes are given, and invert=True keeps the others: none is left.')
        return others

    def _label(self, given: str | int, names: Sequence[str] | None, total: int) -> int:
        """The old label of a class that is given by name or by label."""
        if isinstance(given, int):
            if not 0 <= given < total:
                raise UserError(f'classes has label {given}, and labels are 0 to {total - 1}.')
            return given
        if names is None:
            raise UserError(
                f'classes has the name {shown(given)!r}, but the names of the labels are not known: give class_names '
                '(a list, a file or the name of a dataset), or labels instead of names.'
            )
        spelled = {folded(name): label for label, name in enumerate(names)} | {n: i for i, n in enumerate(names)}
        label = spelled.get(given, spelled.get(folded(given)))
        if label is None:
            raise UserError(
                f'classes has {shown(given)!r}, which is none of the {total} classes.{nearest(given, names)}'
            )
        return label


def _listed(classes: Any) -> tuple[str, ...] | tuple[int, ...]:
    """The classes as they were given, all of them names or all labels."""
    if isinstance(classes, str | Path):
        return load_class_names(classes)
    given = tuple(classes)
    if not given:
        raise UserError('classes of ClassSubsetDataset is empty; name at least one class.')
    if all(isinstance(one, str) for one in given):
        return given
    if all(isinstance(one, int | np.integer) and not isinstance(one, bool) for one in given):
        return tuple(map(int, given))
    raise UserError(f'classes of ClassSubsetDataset are names or labels, all of one kind; got {shown(given, 80)}.')
