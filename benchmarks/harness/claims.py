"""Measures, and claims about them, as data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

#: row -> seed -> what the run measured
Results = Mapping[str, Mapping[int, Mapping[str, Any]]]


@dataclass(frozen=True)
class Measure:
    """A number of a run.

    Attributes:
        title: Heading of its column.
        of: Takes it out of the result of a run; None where that was not measured.
        unit: Unit of a difference, with a space before it.
        digits: Digits behind the point.
        lower_is_better: Whether the better side is the one below.
        chance: What guessing gives; sides that are both below twice of it are not compared.
    """

    title: str
    of: Callable[[Mapping[str, Any]], float | None]
    unit: str = ''
    digits: int = 1
    lower_is_better: bool = False
    chance: float | None = None


@dataclass(frozen=True)
class Claim:
    """Something that was found elsewhere or is expected: that one side is better, or that they are alike.

    Attributes:
        text: The finding in words.
        paper: The paper's numbers; empty where it has none.
        left: Rows whose values are added; a leading ``-`` subtracts.
        right: The other side, in the same way.
        measure: Which of the page's measures is compared; empty is the first of its columns.
        alike: Whether the finding is that there is hardly any difference.
        if_opposite: What may explain the opposite, shown only where the opposite was seen.
    """

    text: str
    paper: str
    left: tuple[str, ...]
    right: tuple[str, ...]
    measure: str = ''
    alike: bool = False
    if_opposite: str = ''


@dataclass(frozen=True)
class Falsifier:
    """What would falsify the finding that a page tests, said before anything was measured.

    Attributes:
        text: What would have to be seen, as it follows on "It is falsified if".
        claims: What is expected instead; it is falsified if one of them fails.
    """

    text: str
    claims: tuple[Claim, ...]
