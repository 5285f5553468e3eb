"""The harness that kills runs: it sees what does not hold, and one round of it holds."""

import json
import os
import signal
import subprocess
import sys

import pytest
import torch
from scripts import ROOT

sys.path.insert(0, str(ROOT / 'benchmarks'))

from trials.faults import STAGES
from trials.kinds import _one_line, _problems_of
from trials.training import Ended, Training, epoch_seconds, equal


def run_of(folder, losses, weight=1.0, best='best_acc_epoch_1.pth'):
    """A finished run as its files."""
    for number, part in enumerate(losses):
        file = folder / 'run' / f'2026_{number}' / 'vis_data' / 'scalars.json'
        file.parent.mkdir(parents=True)
        lines = [json.dumps(dict(loss=loss, iter=step)) for step, loss in part.items()]
        file.write_text('\n'.join([*lines, '{"acc/top1": 1.0, "step": 1}', '{"loss": 0.']))
    torch.save(dict(state_dict=dict(a=torch.tensor(weight))), folder / 'run' / 'epoch_1.pth')
    (folder / 'run' / 'last_checkpoint').write_text(str(folder / 'run' / 'epoch_1.pth'))
    (folder / 'run' / best).touch()
    return Training(folder / 'a.py', folder / 'run', [])


@pytest.mark.parametrize(
    ('changes', 'difference'),
    [
        ({}, ''),
        (dict(losses=[{1: 0.5, 2: 0.4}, {2: 0.3, 3: 0.25}]), 'loss of iteration 3: 0.2 and 0.25'),
        (dict(losses=[{1: 0.5, 2: 0.3}]), 'loss of iteration 3: 0.2 and None'),
        (dict(weight=2.0), 'the weights'),
        (dict(best='best_acc_epoch_2.pth'), 'the best checkpoint'),
    ],
)
def test_runs_that_differ(tmp_path, changes, difference):
    straight = run_of(tmp_path / 'a', [{1: 0.5, 2: 0.3, 3: 0.2}])
    resumed = run_of(tmp_path / 'b', **{'losses': [{1: 0.5, 2: 0.4}, {2: 0.3, 3: 0.2}], **changes})
    assert equal(straight, resumed) == difference


def test_what_does_not_hold():
    good = Ended(2, ('error: a.pth could not be written: full',), False, True, ())
    assert _one_line(good, 'could not be written') == []
    for bad in (
        Ended(1, good.errors, False, True, ()),
        Ended(2, (*good.errors, 'error: b'), False, True, ()),
        Ended(2, good.errors, True, True, ()),
        Ended(2, ('error: something else',), False, True, ()),
    ):
        assert len(_one_line(bad, 'could not be written')) == 1
    assert _problems_of('kill', Ended(-9, (), False, True, ('textxfer_mm_a',))) == []
    assert _problems_of('term', Ended(-15, (), False, False, ('textxfer_mm_a',))) == [
        'term: status -15',
        'term: processes were left',
        'term: textxfer_mm_a was left',
    ]


def test_the_length_of_an_epoch(tmp_path):
    lines = [
        f'mmengine - INFO - Epoch(train)  [{epoch}][{step}/2]  time: 0.25  ' for epoch in (1, 2) for step in (1, 2)
    ]
    (tmp_path / 'log').write_text('\n'.join(lines))
    assert epoch_seconds(tmp_path / 'log') == 0.5


SAVE = """
import os, sys
from textxfer_mm.files import write_text
for number in (1, 2):
    write_text(sys.argv[1], 'x' * number)
    os.remove(sys.argv[1]) if number == 1 else None
"""


@pytest.mark.parametrize('stage', STAGES)
def test_a_process_dies_at_the_stage(tmp_path, stage):
    (tmp_path / 'save.py').write_text(SAVE)
    faults, path = ROOT / 'benchmarks' / 'trials' / 'faults.py', tmp_path / 'a.pth'
    command = [sys.executable, faults, stage, '1', tmp_path / 'save.py', path]
    done = subprocess.run(command, env={**os.environ, 'PYTHONPATH': str(ROOT)}, timeout=100)
    assert done.returncode == -signal.SIGKILL
    part = [file.read_text() for file in tmp_path.glob('.*.pth')]
    assert (path.exists(), part) == {'remove': (True, []), 'write': (False, [''])}.get(stage, (False, ['x']))


def test_a_round_of_it(tmp_path):
    command = [sys.executable, ROOT / 'benchmarks' / 'robustness.py', '--kills', '2', '--only', 'kills', 'full']
    done = subprocess.run(
        [*map(str, command), '--folder', str(tmp_path), '--cfg-options', 'train_cfg.max_epochs=4'],
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith('|')]
    assert [row.split('|')[2:4] for row in rows[2:]] == [[' 2 ', ' yes '], [' 1 ', ' yes ']]
