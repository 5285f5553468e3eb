"""What a page says of its results: falsifiers, the summary, cost and provenance, and plots."""

from dataclasses import replace

import numpy as np
from PIL import Image
from scipy.stats import ttest_rel
from scripts import load_script

tiny = load_script('tests/test_benchmarks/tiny_page.py')

from harness.claims import Claim, Falsifier
from harness.plots import plot_curves
from harness.provenance import cost_in_words, weights_in_words
from harness.report import write_page
from harness.statistics import by_row


def scored(**rows):
    """Results of the tiny page."""
    return [
        dict(row=row, seed=seed, score=score, losses=[1.0])
        for row, scores in rows.items()
        for seed, score in enumerate(scores)
    ]


def test_falsifiers_are_answered_first_with_their_numbers(tmp_path):
    above, below = Claim('High beats low', '', ('high',), ('low',)), Claim('Low beats high', '', ('low',), ('high',))
    missing = Claim('High beats the other', '', ('high',), ('other',))
    page = replace(
        tiny.PAGE,
        falsifiers=(
            Falsifier('high is not above low', (above,)),
            Falsifier('low is not above high', (above, below)),
            Falsifier('it is not above another', (missing,)),
        ),
    )
    text = write_page(page, tmp_path, scored(low=(50, 51, 53), high=(60, 61, 62))).read_text()
    low, high = ttest_rel((60, 61, 62), (50, 51, 53)).confidence_interval(0.95)
    number = f'High beats low: +9.67 points, 95 % interval {low:+.2f} to {high:+.2f}, holds'
    assert f'| high is not above low | {number} | **not falsified** |' in text
    assert f'| low is not above high | {number}; Low beats high: -9.67 points' in text
    assert ', the opposite | **falsified** |' in text
    assert '| it is not above another | High beats the other: not run | **not run** |' in text
    assert text.index('## What would falsify it') < text.index('## What holds and what does not')
    assert 'falsify' not in write_page(tiny.PAGE, tmp_path, []).read_text()


def test_the_summary_is_divided_by_the_circumstances(tmp_path):
    (table,) = tiny.PAGE.tables
    low, high = replace(table, title='A', group='low rate'), replace(table, title='B', group='best rates')
    page = replace(tiny.PAGE, tables=(low, high, replace(low, title='C')))
    text = write_page(page, tmp_path, scored(low=(50, 51, 53), high=(60, 61, 62))).read_text()
    summary = text[text.index('## What holds') : text.index('## A')]
    first, second = summary[summary.index('### Low rate') :].split('### Best rates')
    assert '**Holds here** (2):\n\n- High beats low (A)\n- High beats low (C)\n' in first
    assert '**Holds here** (1):\n\n- High beats low (B)\n' in second
    assert '###' not in write_page(tiny.PAGE, tmp_path, []).read_text()


def cost(key, seconds, cpu_seconds, at_once, cores=2):
    return dict(
        key=key, seconds=seconds, cpu_seconds=cpu_seconds, at_once=at_once, cpu_count=cores, versions=dict(torch='2')
    )


def test_what_results_cost():
    assert cost_in_words({}) == ''
    runs = [cost('a', 600, 1100, 1), cost('b', 300, 280, 2), cost('c', 420, 400, 2, cores=4)]
    results = dict(tower={0: runs[0]}, one={0: runs[1], 1: runs[2]}, renamed={0: runs[1]})
    assert cost_in_words(results) == (
        '3 runs and pre-trainings took 16.0 minutes of wall time, up to 2 at once, and 29.7 minutes of processor time '
        'of all their processes, on 2 or 4 CPU cores; not counted are the making of data and what a stop threw away. '
        'Versions: torch 2.'
    )
    assert '1.5 hours of wall time' in cost_in_words(dict(a={0: cost('a', 10800, 9000, 2)}))
    faster = dict(cost('d', 10, 10, 8, cores=16), device='NVIDIA H100')
    told = cost_in_words(dict(results, two={0: faster}))
    assert 'on 2 or 4 or 16 CPU cores, 1 of them on one NVIDIA H100; not counted' in told


def test_unequal_weights_of_one_tower_are_told():
    results = dict(
        a={0: dict(tower='x'), 1: dict(tower='x')}, b={0: dict(tower='y')}, c={0: dict(tower='z')}, d={0: {}}
    )
    towers = dict(a='main', b='main', c='other', e='main')
    assert 'of one tower: main (2 and 1 runs). Each machine' in weights_in_words(results, towers)
    assert weights_in_words(results, dict(a='main', c='other')) == ''


def test_curves_of_measures_are_plotted(tmp_path):
    results = by_row([dict(row='a', seed=seed, curve=[[0, 0.1], [10, 0.5 + seed / 10]]) for seed in range(2)])
    named = dict(rows=dict(a='one', b='none'), colours=dict(one='red', none='blue'), ylabel='top-1 (%)', scale=100)
    assert plot_curves(tmp_path / 'c.png', results, **named)
    assert np.asarray(Image.open(tmp_path / 'c.png').convert('L')).std() > 5
    assert not plot_curves(tmp_path / 'none.png', {}, **named)
    assert not (tmp_path / 'none.png').exists()


def test_fewer_seeds_are_told(tmp_path):
    results = [
        dict(row=row, seed=seed, score=50.0 + seed, losses=[1.0])
        for row, seed in (('low', 0), ('low', 2), ('high', 0), ('high', 1), ('high', 2))
    ]
    page = write_page(tiny.PAGE, tmp_path, results).read_text()
    assert '| the low one | 1.0 | 51.00 ± 1.41 (2 seeds) |' in page
    assert '| the high one | - | 51.00 ± 1.00 |' in page
    assert '+0.00 points, 95 % interval +0.00 to +0.00 (2 seeds) | **not resolved** |' in page
    assert '**Not resolved: the interval of the difference holds zero** (1):' in page
