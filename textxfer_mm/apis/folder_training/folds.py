"""Which videos are learned from and which are tested on, by groups: cross-validated where they are few."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from textxfer_mm.apis.data_split import draw_sides
from textxfer_mm.errors import UserError, first_few, shown

#: Fewer videos in all, or fewer to validate with of some class, are cross-validated.
FEW_VIDEOS, FEW_OF_A_CLASS = 200, 20
#: Share of the videos of each class for validation, where there are enough.
SHARE = 0.2
FOLDS, REPEATS = 5, 3
_INNER_FOLDS = 3


@dataclass(frozen=True)
class Fold:
    """Indices of the videos that are learned from, and of those that are tested on."""

    train: np.ndarray
    val: np.ndarray


@dataclass(frozen=True)
class Validation:
    """How candidates are compared.

    Attributes:
        folds: One, or those of all repeats of a cross-validation.
        repeats: How often it is repeated; 1 for a single split.
        about: What it is and why, in words.
    """

    folds: tuple[Fold, ...]
    repeats: int
    about: str

    @property
    def is_crossed(self) -> bool:
        """Whether each video is tested on in its turn."""
        return len(self.folds) > 1

    @property
    def first_repeat(self) -> tuple[Fold, ...]:
        """The folds that test on each video once."""
        return self.folds[: len(self.folds) // self.repeats]


def plan_validation(
    labels: Sequence[int], groups: Sequence[str], sides: Sequence[str], class_names: Sequence[str], seed: int
) -> Validation:
    """Choose the folds: those that are given, one split where there are enough videos, or a cross-validation.

    Args:
        labels: n labels.
        groups: The group of each video; its videos stay together.
        sides: The side of each, where it is given.
        class_names: K names, for messages.
        seed: Seed of the draw.

    Raises:
        UserError: All videos of a class are of one group, so that none can be tested on.
    """
    y = np.asarray(labels)
    if sides:
        side = np.asarray(sides)
        fold = Fold(np.flatnonzero(side == 'train'), np.flatnonzero(side == 'val'))
        return Validation((fold,), 1, f'the {len(fold.val)} videos given for it')
    sizes = _groups_a_class(y, groups)
    alone = [f'{shown(class_names[label])!r}' for label, number in enumerate(sizes) if number < 2]
    if alone:
        raise UserError(
            f'All videos of {first_few(alone)} are in one group: nothing is left to test with. Give other --groups, or '
            'videos to validate with (--val).'
        )
    least = int(np.bincount(y).min() * SHARE)
    if len(y) >= FEW_VIDEOS and least >= FEW_OF_A_CLASS:
        side = np.asarray(draw_sides([(int(label),) for label in y], groups, dict(train=1 - SHARE, val=SHARE), seed))
        fold = Fold(np.flatnonzero(side == 'train'), np.flatnonzero(side == 'val'))
        if not set(y) == set(y[fold.train]) == set(y[fold.val]):
            raise UserError('The groups leave a class on one side: give other --groups, or videos to validate with.')
        return Validation((fold,), 1, f'{len(fold.val)} videos held out, {100 * SHARE:.0f} % of each class')
    number = min(FOLDS, min(sizes))
    folds = [fold for repeat in range(REPEATS) for fold in split(y, groups, number, seed + repeat)]
    if any(set(y[fold.train]) != set(y) for fold in folds):
        raise UserError('The groups leave a class without videos to learn from: give other --groups, or --val.')
    why = f'{len(y)} videos in all are fewer than {FEW_VIDEOS}'
    if len(y) >= FEW_VIDEOS:
        why = f'a class would have {least} videos to validate with, fewer than {FEW_OF_A_CLASS}'
    return Validation(tuple(folds), REPEATS, f'{number}-fold cross-validation, repeated {REPEATS} times, since {why}')


def inner_folds(labels: np.ndarray, groups: np.ndarray, seed: int) -> list[Fold]:
    """Folds of a training side, by which settings are chosen; none where a class is of one group."""
    number = min(_INNER_FOLDS, *_groups_a_class(labels, groups))
    if number < 2:
        return []
    folds = split(labels, groups, number, seed)
    return [fold for fold in folds if set(labels[fold.train]) == set(labels)]


def split(labels: np.ndarray, groups: Sequence[str], number: int, seed: int) -> list[Fold]:
    """Folds of whole groups, in which the classes have their shares."""
    from sklearn.model_selection import StratifiedGroupKFold

    drawn = StratifiedGroupKFold(number, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', UserWarning)  # that a class is small is known
        return [Fold(*pair) for pair in drawn.split(np.zeros(len(labels)), labels, np.asarray(groups))]


def _groups_a_class(labels: np.ndarray, groups: Sequence[str]) -> list[int]:
    """How many groups have videos of each class."""
    held = [set() for _ in range(int(labels.max()) + 1)]
    for label, group in zip(labels, groups, strict=True):
        held[label].add(group)
    return list(map(len, held))
