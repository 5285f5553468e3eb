"""The harness of the pages: queue, resuming and mistakes, shown with a page that trains nothing."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scripts import load_script

from textxfer_mm.errors import UserError

tiny = load_script('tests/test_benchmarks/tiny_page.py')

from harness.command import run_command
from harness.queue import machine
from harness.runs import ResultsFile, Run
from harness.statistics import (
    spread,
)


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
    assert results[0]['at_once'] == 1
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


def test_the_accelerator_of_a_run_is_kept(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert 'device' not in machine()
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'get_device_name', lambda: 'NVIDIA H100')
    assert machine()['device'] == 'NVIDIA H100'
