"""The harness of the pages: queue, resuming, statistics and the page, shown with a page that trains nothing."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy.stats import ttest_rel
from scripts import load_script

from textxfer_mm.errors import UserError

tiny = load_script('tests/test_benchmarks/tiny_page.py')

from harness.claims import Claim, Measure
from harness.command import run_command
from harness.plots import plot_curves
from harness.report import write_page
from harness.runs import ResultsFile, Run
from harness.statistics import CombinedSpread, PairedInterval, by_row, chance_of_resolving, judge, spread, steps_to


@pytest.fixture
def command(tmp_path, capsys):
    """Runs the command of the tiny page on a machine; returns its status, what it said, and what it did."""

    def run(*argv, machine='a', results=tmp_path / 'results' / 'tiny.jsonl'):
        trace = tmp_path / machine / 'trace'
        trace.unlink(missing_ok=True)
        places = ['--folder', tmp_path / machine, '--results', results, '--docs', tmp_path / 'docs', '--jobs', '1']
        status = run_command(tiny.PAGE, tiny.__file__, 'The tiny page.', [*map(str, places), *argv])
        return status, capsys.readouterr(), trace.read_text().splitlines() if trace.exists() else []

    return run


def test_a_page_from_queue_to_markdown_stopped_and_resumed_on_another_machine(command, tmp_path):
    status, said, done = command('--only', 'low')
    assert status == 0
    assert done == ['low, seed 0', 'low, seed 1', 'low, seed 2']
    lines = said.out.splitlines()
    assert lines[:4] == [*(f'drawing for seed {seed}' for seed in range(3)), '0 of 3 runs are done, 3 to do']
    assert re.fullmatch(r'\[1/3\] low, seed 0: score 50\.\d\d, 0 s; about 0 min left', lines[4])
    page = (tmp_path / 'docs' / 'tiny.md').read_text()
    assert '| High beats low | by much | - | not run |' in page

    _, said, done = command(machine='b')  # with nothing but the file of results
    assert done == ['high, seed 0', 'high, seed 1', 'high, seed 2']
    assert '3 of 6 runs are done, 3 to do' in said.out
    results = [json.loads(line) for line in (tmp_path / 'results' / 'tiny.jsonl').read_text().splitlines()]
    assert [(one['row'], one['seed']) for one in results] == [(row, s) for row in ('low', 'high') for s in range(3)]
    assert {'key', 'row', 'seed', 'score', 'seconds', 'cpu_seconds', 'cpu_count', 'versions'} < set(results[0])
    assert str(tmp_path) not in str(results)  # nothing of this machine but its cores
    assert 'what a library prints' in (tmp_path / 'b' / 'workers.log').read_text()

    page = (tmp_path / 'docs' / 'tiny.md').read_text()
    low = [result['score'] for result in results[:3]]
    assert f'| the low one | 1.0 | {np.mean(low):.2f} ± {spread(low):.2f} |' in page
    assert '| one that is not run | - | not run |' in page
    assert '| High beats low | by much | +10.00 points, 95 % interval +10.00 to +10.00 | **holds** |' in page
    assert '**Said to be alike, but different here** (1):\n\n- They are alike (Table A)' in page
    assert page.endswith('6 runs.\n')
    assert np.asarray(Image.open(tmp_path / 'docs' / 'images' / 'tiny.png').convert('L')).std() > 5

    (tmp_path / 'docs' / 'tiny.md').unlink()
    assert command('--report-only', machine='c')[2] == []
    assert (tmp_path / 'docs' / 'tiny.md').read_text() == page
    lines = (tmp_path / 'results' / 'tiny.jsonl').read_text().splitlines(keepends=True)
    (tmp_path / 'joined.jsonl').write_text(''.join([*lines[3:5], *reversed(lines[:3])]))
    assert command(machine='d', results=tmp_path / 'joined.jsonl')[2] == ['high, seed 2']


def test_another_scale_is_another_run_and_writes_no_page(command, tmp_path):
    _, said, done = command('--seeds', '100', '--scale', 'gap=0.5', '--only', 'high')
    assert done == ['high, seed 100']
    assert 'wrote' not in said.out
    assert not (tmp_path / 'docs').exists()
    assert command('--seeds', '100', '--scale', 'gap=0.5', '--only', 'high')[2] == []
    results = ResultsFile(tmp_path / 'results' / 'tiny.jsonl')
    assert tiny.Numbers(tiny.Scale(gap=0.5)).run('high', 100) in results
    assert tiny.Numbers().run('high', 100) not in results


def test_failures_are_named_and_the_others_done(command):
    status, said, done = command('--seeds', '0', '--scale', 'broken=True')
    assert status == 1
    assert done == ['low, seed 0', 'refused, seed 0', 'dies, seed 0', 'high, seed 0']
    assert 'error: refused, seed 0: UserError: this row is refused' in said.err
    assert 'error: dies, seed 0: the process ended, see' in said.err


def test_mistakes(command, tmp_path):
    with pytest.raises(UserError, match=r"--only: there is no row 'lo'\. Did you mean: low"):
        command('--only', 'lo')
    with pytest.raises(UserError, match=r"--scale: there is no 'gaps'\. Did you mean: gap"):
        command('--scale', 'gaps=1')
    with pytest.raises(UserError, match=r'--scale: .gap=wide. gives no value; write gap=10\.0'):
        command('--scale', 'gap=wide')
    with pytest.raises(UserError, match=r'--report-only: .* holds no result of this page'):
        command('--report-only')
    assert not (tmp_path / 'docs').exists()


@pytest.mark.parametrize('line', ['{"key": "a", "sc', '[]', '{"row": "low"}'])
def test_a_damaged_line_is_named(tmp_path, line):
    (tmp_path / 'r.jsonl').write_text(f'{json.dumps(dict(key="x"))}\n{line}\n')
    with pytest.raises(UserError, match=r'r\.jsonl, line 2 is no result of a run'):
        ResultsFile(tmp_path / 'r.jsonl')


def test_a_key_is_of_all_that_a_result_depends_on():
    run = Run('low', 0, dict(a=1, b=[2, dict(c=3)]))
    assert run.key == Run('renamed', 0, dict(b=[2, dict(c=3)], a=1)).key
    others = [replace(run, seed=1), replace(run, ranks=2), replace(run, config=dict(a=1, b=[2, dict(c=4)]))]
    assert len({run.key, *(other.key for other in others)}) == 4
    with pytest.raises(TypeError):
        _ = replace(run, config=dict(a=object())).key  # its address would be another in each process


def test_equal_runs_are_done_once(tmp_path):
    results, run = ResultsFile(tmp_path / 'r.jsonl'), Run('low', 0, dict(a=1))
    results.append(dict(key=run.key, row='low', seed=0, score=1.0))
    renamed = replace(run, row='other')
    assert [one['row'] for one in results.of([run, renamed])] == ['low', 'other']


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
