"""Means, spreads, and what may be concluded from a few seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from paper_tables_parts.claims import Claim
from textxfer_mm.datasets.toy_actions import SEEN_ACTIONS

#: setting -> seed -> what the run wrote
Results = Mapping[str, Mapping[int, Mapping[str, Any]]]

MEASURES = {'seen': 100, 'zero_shot': 100, 'loss': 1, 'step_seconds': 1, 'step_cpu_seconds': 1}


@dataclass(frozen=True)
class Verdict:
    """What the runs say about a claim.

    Attributes:
        word: 'holds', 'the opposite', 'not resolved', 'no difference seen', 'differs', 'both near chance', 'no
            advantage', 'one seed' or 'not run'.
        difference: Left minus right, mean over the seeds.
        spread: Combined spread of the two sides.
        seeds: How many seeds both sides have.
    """

    word: str
    difference: float = 0.0
    spread: float = 0.0
    seeds: int = 0


def by_setting(results: Sequence[Mapping[str, Any]]) -> dict[str, dict[int, Mapping[str, Any]]]:
    """Order results by setting and seed."""
    ordered: dict[str, dict[int, Mapping[str, Any]]] = {}
    for result in results:
        ordered.setdefault(result['setting'], {})[result['seed']] = result
    return ordered


def value(result: Mapping[str, Any], measure: str) -> float | None:
    """One number of a run: accuracies in per cent, the mean loss of the second half, seconds; None if not measured."""
    if measure == 'loss':
        losses = result['losses']
        return float(np.mean(losses[len(losses) // 2 :])) if losses else None
    raw = result.get(measure)
    return None if raw is None else MEASURES[measure] * raw


def usual_seeds(results: Results) -> int:
    """How many seeds the settings with the most of them have."""
    return max(map(len, results.values()), default=0)


def values(results: Results, setting: str, measure: str) -> dict[int, float]:
    """A measure of all seeds of a setting that have it."""
    found = {seed: value(result, measure) for seed, result in results.get(setting, {}).items()}
    return {seed: one for seed, one in sorted(found.items()) if one is not None}


def spread(numbers: Sequence[float]) -> float:
    """Sample standard deviation; 0 for a single number."""
    return float(np.std(numbers, ddof=1)) if len(numbers) > 1 else 0.0


def judge(claim: Claim, results: Results) -> Verdict:
    """Compare the two sides of a claim over the seeds that both have.

    A difference counts as resolved if its mean is larger than the combined spread (root of the summed squares of the
    two standard deviations) and every single seed has its sign. Two sides that recognise less than twice what chance
    would are not compared, nor are advantages of which neither is one.
    """
    left, right = (_side(side, results, claim.measure) for side in (claim.left, claim.right))
    seeds = sorted(set(left) & set(right))
    if not seeds:
        return Verdict('not run')
    a, b = (np.array([side[seed] for seed in seeds]) for side in (left, right))
    difference, combined = float((a - b).mean()), float(np.hypot(spread(a), spread(b)))
    resolved = abs(difference) > combined and len(set(np.sign(a - b))) == 1
    single = claim.measure == 'seen' and len(claim.left) == len(claim.right) == 1
    if len(seeds) == 1:
        word = 'one seed'
    elif single and max(a.mean(), b.mean()) < 2 * 100 / len(SEEN_ACTIONS):
        word = 'both near chance'
    elif len(claim.left) > 1 and max(a.mean(), b.mean()) <= 0:
        word = 'no advantage'
    elif claim.alike:
        word = 'differs' if resolved else 'no difference seen'
    elif not resolved:
        word = 'not resolved'
    else:
        word = 'holds' if (difference < 0) == claim.lower_is_better else 'the opposite'
    return Verdict(word, difference, combined, len(seeds))


def _side(names: Sequence[str], results: Results, measure: str) -> dict[int, float]:
    """Sums over settings, of the seeds that all of them have."""
    parts = [(-1 if name.startswith('-') else 1, values(results, name.removeprefix('-'), measure)) for name in names]
    seeds = set.intersection(*(set(part) for _, part in parts))
    return {seed: sum(sign * part[seed] for sign, part in parts) for seed in seeds}


def chance_of_resolving(seeds: int, draws: int = 20_000) -> float:
    """How often two equal settings with independent normal noise would count as different (simulated)."""
    generator = np.random.default_rng(0)
    a, b = generator.standard_normal((2, draws, seeds))
    combined = np.hypot(a.std(axis=1, ddof=1), b.std(axis=1, ddof=1))
    same_sign = np.abs(np.sign(a - b).sum(axis=1)) == seeds
    return float(((np.abs((a - b).mean(axis=1)) > combined) & same_sign).mean())
