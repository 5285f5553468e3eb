"""Drawing videos of each class: the same on every rank and in every run."""

import math
from collections.abc import Sequence

import numpy as np

from textxfer_mm.errors import UserError, shown


def draw_per_class(
    labels: Sequence[int],
    *,
    seed: int,
    count: int | None = None,
    fraction: float | None = None,
    names: Sequence[str] | None = None,
) -> list[int]:
    """Draw some of the videos of each class, without replacement.

    The videos drawn from a class depend only on the seed, the label and the class's own videos. A larger draw contains
    the smaller ones of the same seed: five shots are the three shots plus two more.

    Args:
        labels: The label of each video, in the order of the list.
        seed: Seed of the draw, not negative.
        count: Number of videos per class.
        fraction: Share of each class, in (0, 1]; ``fraction * videos`` is rounded to the nearest integer (halves up),
            and at least one video is kept.
        names: Names of the classes, for messages.

    Returns:
        Sorted indices into ``labels``.

    Raises:
        UserError: A class has fewer than ``count`` videos, both or none of ``count`` and ``fraction`` are given, or
            one of the arguments is out of range.
    """
    _check(labels, seed, count, fraction)
    given = np.asarray(labels, dtype=np.int64)  # (N,)
    chosen: list[int] = []
    for label in np.unique(given).tolist():
        members = np.flatnonzero(given == label)
        wanted = count if count is not None else max(1, math.floor(fraction * len(members) + 0.5))
        if wanted > len(members):
            raise UserError(
                f'{wanted} videos a class were asked for, but label {label}{_named(label, names)} has {len(members)}. '
                'Ask for fewer, or add videos of this class to the list.'
            )
        order = np.random.default_rng([seed, label]).permutation(len(members))
        chosen += members[order[:wanted]].tolist()
    return sorted(chosen)


def _named(label: int, names: Sequence[str] | None) -> str:
    return f' ({shown(names[label])})' if names and label < len(names) else ''


def _check(labels: Sequence[int], seed: int, count: int | None, fraction: float | None) -> None:
    """Refuse arguments from which nothing can be drawn."""
    if (count is None) == (fraction is None):
        raise UserError(f'Give either `count` or `fraction`, not both and not none (got {count} and {fraction}).')
    if count is not None and (not isinstance(count, int | np.integer) or isinstance(count, bool) or count < 1):
        raise UserError(f'`count` is a number of videos a class, at least 1; got {count!r}.')
    if fraction is not None and not (isinstance(fraction, int | float) and 0 < fraction <= 1):
        raise UserError(f'`fraction` is the share of each class, above 0 and at most 1; got {fraction!r}.')
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise UserError(f'`seed` is an integer that is not negative; got {seed!r}.')
    for index, label in enumerate(labels):
        if not isinstance(label, int | np.integer) or label < 0:
            raise UserError(
                f'Videos are drawn by their one label, an integer from 0 on; the label of number {index} is {label!r}.'
            )
