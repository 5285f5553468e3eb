"""Shares of several datasets: exact counts of an epoch, and an even order in which their samples take turns."""

import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from numbers import Integral, Real
from typing import Any

from textxfer_mm.errors import UserError, first_few, nearest, shown

#: Shares are taken as fractions of at most this denominator, so that 0.1 is a tenth.
_DENOMINATOR = 10**6


def exact_shares(ratios: Any, names: Sequence[str], asker: str) -> dict[str, Fraction]:
    """Return the share of each dataset, which sum to 1.

    Args:
        ratios: Numbers by name; what counts is their ratio. 0 leaves a dataset out. Of two datasets also one number
            from 0 to 1: the share of the first.
        names: The datasets; the shares come in their order.
        asker: Who asks, for messages.

    Raises:
        UserError: A name is unknown or missing, a number is negative or not finite, or all are 0; one number is not
            from 0 to 1, or there are not two datasets.
    """
    if isinstance(ratios, Real) and not isinstance(ratios, bool):
        ratios = _of_two(ratios, names, asker)
    if not isinstance(ratios, Mapping):
        raise UserError(f'{asker}: ratios is a dict of numbers by dataset, got {shown(repr(ratios), 80)}.')
    for name, value in ratios.items():
        if name not in names:
            raise UserError(f'{asker}: ratios name {shown(repr(name))}.{nearest(str(name), names)}')
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or value < 0:
            raise UserError(f'{asker}: the ratio of {shown(name)!r} is a number from 0 on, got {shown(repr(value))}.')
    missing = [name for name in names if name not in ratios]
    if missing:
        raise UserError(f'{asker}: ratios lack {first_few(missing)}; give 0 to leave a dataset out.')
    if not any(ratios.values()):
        raise UserError(f'{asker}: all ratios are 0, so that nothing is drawn; give one of {first_few(names)} a share.')
    parts = {name: _fraction(ratios[name], max(ratios.values())) for name in names}
    return {name: part / sum(parts.values()) for name, part in parts.items()}


def _of_two(ratio: Real, names: Sequence[str], asker: str) -> dict[str, Fraction]:
    """The shares of two datasets, of which the first has a ratio."""
    if len(names) != 2:
        raise UserError(f'{asker}: one ratio ({ratio}) is for two datasets; give one for each of {first_few(names)}.')
    if not 0 <= ratio <= 1:
        raise UserError(
            f'{asker}: ratio {ratio} is not from 0 to 1, the share of {shown(names[0])!r}; {shown(names[1])!r} has the '
            'rest.'
        )
    share = Fraction(float(ratio)).limit_denominator(_DENOMINATOR)
    return {names[0]: share, names[1]: 1 - share}


def _fraction(value: Real, largest: Real) -> Fraction:
    """A ratio as it was meant: whole numbers as they are, others relative to the largest as short fractions."""
    if isinstance(value, Integral) and isinstance(largest, Integral):
        return Fraction(int(value), int(largest))
    return Fraction(float(value) / float(largest)).limit_denominator(_DENOMINATOR)


def counts_of(shares: Mapping[str, Fraction], total: int) -> dict[str, int]:
    """How many of so many samples are of each dataset: less than one from its share, and ``total`` in all.

    Shares are rounded down; what is left over goes to the largest remainders, of equal ones to the first.

    Args:
        shares: Shares that sum to 1.
        total: The samples.
    """
    counts = {name: math.floor(share * total) for name, share in shares.items()}
    left = total - sum(counts.values())
    by_remainder = sorted(shares, key=lambda name: counts[name] - shares[name] * total)
    for name in by_remainder[:left]:
        counts[name] += 1
    return counts


def even_turns(shares: Mapping[str, Fraction]) -> Iterator[str]:
    """Yield datasets without end, so that after any number of turns each is less than one from its share.

    So each batch of B turns has exactly B times the share of each dataset wherever these are whole numbers. It is the
    quota method of Tijdeman (The chairman assignment problem, 1980): of the datasets that may have another turn without
    getting ahead, the one whose turn is due first.

    Args:
        shares: Shares that sum to 1.
    """
    weights, scale = _whole(shares)
    # With n datasets none gets further than 1 - 1 / (2 n - 2) from its share. All in whole numbers: a turn is worth
    # scale * room, and what is due first is compared over the common multiple of the weights.
    room, common = max(2 * len(weights) - 2, 1), math.lcm(*weights.values())
    due = dict.fromkeys(weights, 0)
    while True:
        for name, weight in weights.items():
            due[name] += weight * room
        ready = [name for name in weights if due[name] >= scale]
        chosen = min(ready, key=lambda name: ((room - 1) * scale - due[name]) * (common // weights[name]))
        due[chosen] -= scale * room
        yield chosen


def period_of(shares: Mapping[str, Fraction]) -> int:
    """After how many turns :func:`even_turns` begins anew."""
    return _whole(shares)[1]


def _whole(shares: Mapping[str, Fraction]) -> tuple[dict[str, int], int]:
    """The shares that are not 0 as whole numbers, and their sum."""
    scale = math.lcm(*(share.denominator for share in shares.values()))
    return {name: int(share * scale) for name, share in shares.items() if share}, scale
