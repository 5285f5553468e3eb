"""What may be concluded from a few seeds: verdicts, intervals, answers to falsifiers, and steps of curves."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp, ttest_rel
from scripts import load_script

load_script('tests/test_benchmarks/tiny_page.py')  # finds the harness

from harness.claims import Claim, Measure
from harness.statistics import CombinedSpread, PairedInterval, answer, by_row, chance_of_resolving, judge, steps_to

SCORE = Measure('score', lambda result: 100 * result['seen'], chance=100 / 17)
LOSS = Measure('loss', lambda result: result['seen'], lower_is_better=True)


def results_of(**rows):
    return by_row(
        [dict(row=row, seed=seed, seen=seen) for row, numbers in rows.items() for seed, seen in numbers.items()]
    )


@pytest.mark.parametrize(
    ('left', 'right', 'alike', 'word', 'paired'),
    [
        ((50, 52, 54), (40, 42, 44), False, 'holds', 'holds'),
        ((40, 42, 44), (50, 52, 54), False, 'the opposite', 'the opposite'),
        ((50, 52, 54), (49, 51, 53.5), False, 'not resolved', 'holds'),
        ((50, 60, 70), (49, 61, 40), False, 'not resolved', 'not resolved'),
        ((50, 52, 54), (49, 52, 53), True, 'no difference seen', 'no difference seen'),
        ((50, 52, 54), (40, 42, 44), True, 'differs', 'differs'),
        ((50,), (10,), False, 'one seed', 'one seed'),
        ((10, 10.5, 11), (6, 6.5, 7), False, 'both near chance', 'both near chance'),
        ((50,), (), False, 'not run', 'not run'),
    ],
)
def test_verdicts(left, right, alike, word, paired):
    sides = (dict(enumerate(np.array(side) / 100)) for side in (left, right))
    results = results_of(**dict(zip('ab', sides, strict=True)))
    claim = Claim('', '', ('a',), ('b',), alike=alike)
    verdict = judge(claim, results, SCORE, CombinedSpread())
    assert verdict.word == word
    assert judge(claim, results, SCORE, PairedInterval()).word == paired
    if len(left) == len(right):
        assert verdict.difference == pytest.approx(np.mean(left) - np.mean(right))
        combined = (np.var(left, ddof=1) + np.var(right, ddof=1)) ** 0.5 if len(left) > 1 else 0
        assert CombinedSpread().describe(verdict.left, verdict.right, 2) == f'combined spread {combined:.2f}'


def test_verdicts_of_losses_gaps_and_missing_seeds():
    results = results_of(a={0: 0.6, 1: 0.61, 2: 0.62}, b={0: 0.5, 2: 0.5})
    gap = judge(Claim('', '', ('a', '-b'), ('b',)), results, SCORE, CombinedSpread())
    assert gap.seeds == 2
    assert gap.difference == pytest.approx(100 * (0.61 - 0.5 - 0.5))
    advantages = Claim('', '', ('b', '-a'), ('b', '-a', '-a'))
    assert judge(advantages, results, SCORE, CombinedSpread()).word == 'no advantage'
    lower = results_of(a={0: 1.0, 1: 1.0}, b={0: 2.0, 1: 2.0})
    assert judge(Claim('', '', ('a',), ('b',)), lower, LOSS, CombinedSpread()).word == 'holds'


def test_the_paired_interval_is_that_of_the_t_test():
    left, right = np.random.default_rng(0).normal(size=(2, 5)) + [[1.0], [0.0]]
    for level in (0.8, 0.95):
        wanted = ttest_rel(left, right).confidence_interval(level)
        np.testing.assert_allclose(PairedInterval(level).interval(left, right), wanted)
    many = np.random.default_rng(1).normal(size=(2, 7, 5))
    each = [PairedInterval().resolved(a, b) for a, b in zip(*many, strict=True)]
    assert PairedInterval().resolved(*many).tolist() == [bool(one) for one in each]


def test_a_sum_of_rows_is_paired_over_the_seeds_that_all_have():
    results = results_of(
        a={0: 0.5, 1: 0.6, 2: 0.8, 3: 0.9}, b={0: 0.4, 1: 0.4, 2: 0.5}, c={1: 0.3, 2: 0.4, 3: 0.9}, d={1: 0.2, 2: 0.2}
    )
    gains = judge(Claim('', '', ('a', '-b'), ('c', '-d')), results, SCORE, PairedInterval())
    assert gains.seeds == 2  # 0 is missing in c, 3 in b and d
    np.testing.assert_allclose(gains.left - gains.right, [20 - 10, 30 - 20])
    low, high = PairedInterval().interval(np.array([20.0, 31.0, 30.0]), np.array([10.0, 20.0, 25.0]))
    wanted = ttest_1samp([10.0, 11.0, 5.0], 0).confidence_interval(0.95)
    np.testing.assert_allclose((low, high), wanted)
    alone = judge(
        Claim('', '', ('a', '-b'), ('a', '-c', '-d')),
        results_of(a={0: 1}, b={0: 0}, c={0: 1}, d={0: 1}),
        SCORE,
        PairedInterval(),
    )
    assert alone.word == 'one seed'
    assert PairedInterval().describe(alone.left, alone.right, 1) == 'no interval'


def test_an_advantage_in_losses_is_a_negative_difference():
    results = results_of(a={0: 0.5, 1: 0.5}, b={0: 0.6, 1: 0.61}, c={0: 0.6, 1: 0.6}, d={0: 0.62, 1: 0.62})
    larger = Claim('', '', ('a', '-b'), ('c', '-d'))
    assert judge(larger, results, LOSS, CombinedSpread()).word == 'holds'  # by 0.1 against by 0.02
    none = Claim('', '', ('b', '-a'), ('d', '-c'))
    assert judge(none, results, LOSS, CombinedSpread()).word == 'no advantage'


@pytest.mark.parametrize(
    ('words', 'answered'),
    [
        (('holds',), 'not falsified'),
        (('holds', 'no difference seen'), 'not falsified'),
        (('holds', 'the opposite'), 'falsified'),
        (('not run', 'differs'), 'falsified'),
        (('holds', 'not run', 'not resolved'), 'not run'),
        (('holds', 'not resolved'), 'not resolved'),
        (('no advantage',), 'not resolved'),
        (('both near chance',), 'not resolved'),
        (('one seed', 'holds'), 'not resolved'),
    ],
)
def test_what_verdicts_say_to_a_falsifier(words, answered):
    assert answer(words) == answered


def test_the_chance_of_resolving_is_that_of_the_rule():
    chances = [chance_of_resolving(CombinedSpread(), seeds) for seeds in (2, 3, 5)]
    assert chances[0] > chances[1] > chances[2] > 0
    assert chances[1] == pytest.approx(0.134, abs=0.01)
    assert chance_of_resolving(PairedInterval(), 3) == pytest.approx(0.05, abs=0.01)
    assert chance_of_resolving(PairedInterval(0.8), 5) == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize(
    ('share', 'curve', 'steps'),
    [
        (0.9, [(0, 0.0), (10, 0.5), (20, 1.0)], 18.0),
        (0.5, [(0, 0.0), (10, 0.5), (20, 1.0)], 10.0),
        (0.9, [(0, 0.2), (10, 0.6), (40, 0.8)], 28.0),  # 0.72 lies 0.12 of 0.2 behind 10
        (0.9, [(0, 0.2), (10, 0.8), (20, 0.5), (40, 0.8)], 10 * 0.52 / 0.6),  # the first time counts
        (0.9, [(0, 0.95), (10, 0.5), (20, 1.0)], 0.0),
        (1.0, [(0, 0.0), (10, 0.5), (30, 1.0)], 30.0),
        (0.9, [(5, 0.3)], 5.0),
        (0.9, [(0, 0.0), (10, 0.0)], 0.0),
        (0.9, [], None),
    ],
)
def test_steps_to_a_share_of_the_last_value(share, curve, steps):
    assert steps_to(share, curve) == (None if steps is None else pytest.approx(steps))
