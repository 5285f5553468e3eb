"""Means, spreads, intervals, and what may be concluded from a few seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from harness.claims import Claim, Measure, Results


class Rule(Protocol):
    """When a difference between two sides counts as resolved; the last axis of both is the seeds.

    Attributes:
        unresolved: What it means that one does not.
    """

    unresolved: str

    def resolved(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Whether it does (...) for sides (..., seeds) with at least two seeds."""

    def describe(self, left: np.ndarray, right: np.ndarray, digits: int) -> str:
        """The uncertainty of the difference in words, for sides (seeds,)."""


@dataclass(frozen=True)
class CombinedSpread:
    """The mean difference is larger than the combined spread of the two sides, and all seeds agree on its sign."""

    unresolved: ClassVar[str] = 'the difference lies within the spread'

    def resolved(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """See :class:`Rule`."""
        signs = np.sign(left - right).sum(axis=-1)
        larger = np.abs((left - right).mean(axis=-1)) > self.spread(left, right)
        return larger & (np.abs(signs) == left.shape[-1])

    def describe(self, left: np.ndarray, right: np.ndarray, digits: int) -> str:
        """See :class:`Rule`."""
        return f'combined spread {self.spread(left, right):.{digits}f}'

    @staticmethod
    def spread(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Root of the summed squares of the two standard deviations."""
        return np.hypot(spread(left), spread(right))


@dataclass(frozen=True)
class PairedInterval:
    """Zero lies outside the confidence interval of the mean difference between the two sides, paired by seed.

    Attributes:
        level: Level of the interval, by Student's t distribution.
    """

    level: float = 0.95
    unresolved: ClassVar[str] = 'the interval of the difference holds zero'

    def resolved(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """See :class:`Rule`."""
        low, high = self.interval(left, right)
        return (low > 0) | (high < 0)

    def describe(self, left: np.ndarray, right: np.ndarray, digits: int) -> str:
        """See :class:`Rule`."""
        if left.shape[-1] < 2:
            return 'no interval'
        low, high = self.interval(left, right)
        return f'{100 * self.level:g} % interval {low:+.{digits}f} to {high:+.{digits}f}'

    def interval(self, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Its two ends."""
        from scipy.stats import t

        difference, seeds = left - right, left.shape[-1]
        mean = difference.mean(axis=-1)
        half = t.ppf((1 + self.level) / 2, seeds - 1) * spread(difference) / np.sqrt(seeds)
        return mean - half, mean + half


#: What the verdict about a claim says to whoever is refuted if it fails; all other verdicts are 'not resolved'.
ANSWERS = {
    'the opposite': 'falsified',
    'differs': 'falsified',
    'not run': 'not run',
    'holds': 'not falsified',
    'no difference seen': 'not falsified',
}


@dataclass(frozen=True)
class Verdict:
    """What the runs say about a claim.

    Attributes:
        word: 'holds', 'the opposite', 'not resolved', 'no difference seen', 'differs', 'both near chance', 'no
            advantage', 'one seed' or 'not run'.
        left: Values of the left side, of the seeds that both sides have.
        right: Those of the right side.
    """

    word: str
    left: np.ndarray
    right: np.ndarray

    @property
    def seeds(self) -> int:
        """How many seeds both sides have."""
        return len(self.left)

    @property
    def difference(self) -> float:
        """Left minus right, mean over the seeds."""
        return float((self.left - self.right).mean())


def by_row(results: Sequence[Mapping[str, Any]]) -> dict[str, dict[int, Mapping[str, Any]]]:
    """Order results by row and seed."""
    ordered: dict[str, dict[int, Mapping[str, Any]]] = {}
    for result in results:
        ordered.setdefault(result['row'], {})[result['seed']] = result
    return ordered


def seeds_of(results: Results) -> list[int]:
    """All seeds that some row has."""
    return sorted({seed for runs in results.values() for seed in runs})


def usual_seeds(results: Results) -> int:
    """How many seeds the rows with the most of them have."""
    return max(map(len, results.values()), default=0)


def values(results: Results, row: str, measure: Measure) -> dict[int, float]:
    """A measure of all seeds of a row that have it."""
    found = {seed: measure.of(result) for seed, result in sorted(results.get(row, {}).items())}
    return {seed: one for seed, one in found.items() if one is not None}


def spread(numbers: np.ndarray | Sequence[float]) -> np.ndarray:
    """Sample standard deviation over the last axis; 0 for a single number."""
    numbers = np.asarray(numbers)
    return numbers.std(axis=-1, ddof=1) if numbers.shape[-1] > 1 else np.zeros(numbers.shape[:-1])


def judge(claim: Claim, results: Results, measure: Measure, rule: Rule) -> Verdict:
    """Compare the two sides of a claim over the seeds that both have.

    Two sides near chance are not compared, nor are advantages of which neither is one.
    """
    sides = [_side(names, results, measure) for names in (claim.left, claim.right)]
    seeds = sorted(set(sides[0]) & set(sides[1]))
    left, right = (np.array([side[seed] for seed in seeds]) for side in sides)
    return Verdict(_word(claim, left, right, measure, rule), left, right)


def answer(words: Sequence[str]) -> str:
    """Whether claims of which none may fail were falsified, by the words of their verdicts.

    Returns:
        'falsified' where one was; else 'not run' or 'not resolved' where one of them is so; else 'not falsified'.
    """
    answers = {ANSWERS.get(word, 'not resolved') for word in words}
    return next(one for one in ('falsified', 'not run', 'not resolved', 'not falsified') if one in answers)


def _word(claim: Claim, left: np.ndarray, right: np.ndarray, measure: Measure, rule: Rule) -> str:
    """The word of a verdict."""
    if len(left) < 2:
        return 'one seed' if len(left) else 'not run'
    best, single = max(left.mean(), right.mean()), len(claim.left) == len(claim.right) == 1
    if single and measure.chance is not None and best < 2 * measure.chance:
        return 'both near chance'
    sign = -1 if measure.lower_is_better else 1
    if len(claim.left) > 1 and max(sign * left.mean(), sign * right.mean()) <= 0:
        return 'no advantage'
    resolved = bool(rule.resolved(left, right))
    if claim.alike:
        return 'differs' if resolved else 'no difference seen'
    if not resolved:
        return 'not resolved'
    return 'holds' if (left.mean() < right.mean()) == measure.lower_is_better else 'the opposite'


def _side(names: Sequence[str], results: Results, measure: Measure) -> dict[int, float]:
    """Sums over rows, of the seeds that all of them have."""
    parts = [(-1 if name.startswith('-') else 1, values(results, name.removeprefix('-'), measure)) for name in names]
    seeds = set.intersection(*(set(part) for _, part in parts))
    return {seed: sum(sign * part[seed] for sign, part in parts) for seed in seeds}


def chance_of_resolving(rule: Rule, seeds: int, draws: int = 20_000) -> float:
    """How often two equal rows with independent normal noise would count as different (simulated)."""
    left, right = np.random.default_rng(0).standard_normal((2, draws, seeds))
    return float(rule.resolved(left, right).mean())


def steps_to(share: float, curve: Sequence[Sequence[float]]) -> float | None:
    """Steps until a curve reaches a share of its last value for the first time, linear between its points.

    Args:
        share: Such as 0.9.
        curve: Points (step, value) in the order of their steps; values are positive where it ends.

    Returns:
        The steps; None for a curve without points.
    """
    if not curve:
        return None
    target = share * curve[-1][1]
    number = next(number for number, (_, value) in enumerate(curve) if value >= target)
    if not number:
        return float(curve[0][0])
    (step, value), (next_step, next_value) = curve[number - 1 : number + 1]
    return step + (target - value) / (next_value - value) * (next_step - step)
