"""Splits of classes: into those to learn and those to recognise by their names, or into halves to be tested on.

Pure functions of numbers: classes are their labels, 0 to K-1. The draws are equal everywhere; they use a generator of
their own and leave NumPy's global one alone.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from textxfer_mm.errors import UserError


def half_class_split(num_classes: int, seed: int) -> list[int]:
    """Draw half of the classes, as the zero-shot evaluation of Text4Vis does with the seeds 0 to 9.

    The authors' code calls ``numpy.random.seed(seed)`` and takes the first ``num_classes // 2`` of a permutation; the
    labels of the kept classes follow each other in their old order.

    Args:
        num_classes: K, at least 2.
        seed: Seed of the draw, not negative.

    Returns:
        ``num_classes // 2`` labels, sorted.

    Raises:
        UserError: An argument is out of range.
    """
    _require_whole('num_classes', num_classes, 2)
    return draw_classes(num_classes, num_classes // 2, seed)


def draw_classes(num_classes: int, count: int, seed: int) -> list[int]:
    """Draw some of the classes, by the same permutation as :func:`half_class_split`; more contain fewer.

    Args:
        num_classes: K.
        count: How many to draw, from 1 to K.
        seed: Seed of the draw, not negative.

    Returns:
        ``count`` labels, sorted.

    Raises:
        UserError: An argument is out of range.
    """
    _require_whole('num_classes', num_classes, 1)
    _require_whole('count', count, 1)
    _require_whole('seed', seed, 0)
    if count > num_classes:
        raise UserError(f'{count} classes were asked for, and there are {num_classes}.')
    if seed >= 2**32:
        raise UserError(f'The seed of a draw of classes is below 2**32; got {seed}.')
    return sorted(np.random.RandomState(seed).permutation(num_classes)[:count].tolist())


def split_classes(num_classes: int, count: int, seed: int) -> tuple[list[int], list[int]]:
    """Draw some of the classes, such as 300 of the 400 of Kinetics to train with, and keep the others to test on.

    Args:
        num_classes: K.
        count: How many to draw, from 1 to K-1.
        seed: Seed of the draw, not negative.

    Returns:
        The labels that were drawn and the others, both sorted.

    Raises:
        UserError: An argument is out of range, or nothing is left.
    """
    drawn = draw_classes(num_classes, count, seed)
    if count == num_classes:
        raise UserError(f'All {num_classes} classes were asked for, so that none is left to test on. Ask for fewer.')
    return drawn, other_classes(num_classes, drawn)


def base_to_novel_split(num_classes: int, videos: Sequence[int] | None = None) -> tuple[list[int], list[int]]:
    """Split the classes into two halves: base classes, to learn, and novel ones.

    Args:
        num_classes: K, at least 2.
        videos: Number of training videos of each class (K); the base classes are then those with the most. Without it
            they are the first in the order of the labels.

    Returns:
        ``ceil(K / 2)`` labels and the others, both sorted.

    Raises:
        UserError: There are fewer than two classes, or not one number a class.
    """
    _require_whole('num_classes', num_classes, 2)
    if videos is not None and len(videos) != num_classes:
        raise UserError(f'{len(videos)} numbers of videos were given for {num_classes} classes; give one a class.')
    order = sorted(range(num_classes), key=lambda label: 0 if videos is None else -videos[label])
    base = sorted(order[: math.ceil(num_classes / 2)])
    return base, other_classes(num_classes, base)


def other_classes(num_classes: int, labels: list[int]) -> list[int]:
    """Return the labels that are not among the given ones, sorted."""
    return sorted(set(range(num_classes)) - set(labels))


def _require_whole(name: str, value: Any, least: int) -> None:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise UserError(f'{name} of a split of classes is a whole number from {least} on; got {value!r}.')
