"""SIGTERM (Slurm, Docker) ends a run, its data workers and its ranks in one line; a killed rank ends the others."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from scripts import ROOT
from tiny_runs import run_config, write_dataset

CLI = 'from textxfer_mm.cli.main import main; main()'


class Started:
    """A command in a process group and with a temporary folder of its own.

    Args:
        folder: Where its output and its temporary files go.
        command: Its words.
    """

    def __init__(self, folder, *command, **env):
        self.temporary = Path(tempfile.mkdtemp(prefix='run'))  # data workers put sockets there: their paths are short
        path = os.pathsep.join([str(os.path.dirname(sys.executable)), os.environ['PATH']])
        pythonpath = f'{ROOT}{os.pathsep}{os.environ.get("PYTHONPATH", "")}'
        given = dict(
            os.environ, PATH=path, PYTHONPATH=pythonpath, TMPDIR=str(self.temporary), OMP_NUM_THREADS='1', **env
        )
        self.out, self.err = folder / 'out.txt', folder / 'err.txt'
        with self.out.open('w') as out, self.err.open('w') as err:
            self.process = subprocess.Popen(
                [*map(str, command)], stdout=out, stderr=err, env=given, start_new_session=True
            )

    def wait_until_it_trains(self, place=r'\[3\]'):
        """Wait until the third epoch, or another place in the log."""
        end = time.monotonic() + 300
        while not re.search(rf'Epoch\(train\) +{place}', self.out.read_text()):
            assert self.process.poll() is None, self.err.read_text()
            assert time.monotonic() < end, 'it did not come'
            time.sleep(0.1)

    def kill(self):
        """End all that is left of it; a launcher's ranks are no part of its group, so it is asked first."""
        with suppress(subprocess.TimeoutExpired):
            self.process.terminate()
            self.process.wait(60)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.temporary, ignore_errors=True)

    def end(self, seconds=30):
        """The exit status, after which none of its processes and none of our temporary files may be left."""
        status = self.process.wait(timeout=seconds)
        end = time.monotonic() + 5
        while self._is_alive() and time.monotonic() < end:
            time.sleep(0.1)
        assert not self._is_alive(), 'processes were left'
        return status

    def _is_alive(self):
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, 0)
            return True
        return False

    def left(self):
        """Our temporary folders that are left."""
        return sorted(path.name for path in self.temporary.glob('textxfer_mm_*'))

    def said(self):
        """What it printed on stderr, warnings of libraries left out."""
        lines = self.err.read_text().splitlines()
        return [line for line in lines if 'warn' not in line.lower() and not line.startswith(('  ', 'grad', 'bucket'))]


@pytest.fixture
def start(tmp_path):
    """Start a command; whatever happens, nothing of it outlives the test."""
    started = []

    def start(*command, **env):
        started.append(Started(tmp_path, *command, **env))
        return started[-1]

    yield start
    for run in started:
        run.kill()


@pytest.fixture
def config(tmp_path):
    cfg = Config(run_config(write_dataset(tmp_path / 'videos', good=4), tmp_path / 'run', workers=1, epochs=1000))
    cfg.default_hooks.checkpoint.interval = 1000
    cfg.terminal = 'log'
    cfg.dump(tmp_path / 'tiny.py')
    return tmp_path / 'tiny.py'


@pytest.mark.parametrize('whole_group', [False, True])
def test_training(start, config, whole_group):
    run = start(sys.executable, ROOT / 'tools' / 'train.py', config)
    run.wait_until_it_trains()
    assert run.left() != []
    (os.killpg if whole_group else os.kill)(run.process.pid, signal.SIGTERM)
    assert run.end() == 143
    assert run.said() == ['terminated: no checkpoint was saved yet']
    assert run.left() == []


def test_a_command(start, tmp_path):
    run = start(sys.executable, '-c', CLI, 'toy-actions', tmp_path / 'toys')
    end = time.monotonic() + 300
    while not list(tmp_path.glob('toys/videos/train/*.mp4')) and time.monotonic() < end:
        assert run.process.poll() is None, run.err.read_text()
        time.sleep(0.1)
    run.process.send_signal(signal.SIGTERM)
    assert run.end() == 143
    assert run.said() == ['terminated']
    assert not list(tmp_path.rglob('.*.mp4'))


def test_it_changes_nothing_when_all_is_done():
    """The end of a process that has loaded torch takes a second, in which folders are tidied up."""
    code = (
        'import atexit, gc, os, signal, sys; from textxfer_mm.engine.launch import run_tool; '
        'atexit.register(lambda: print(gc.get_freeze_count() > 0)); '  # the last collection has nothing to do
        'atexit.register(lambda: (os.kill(os.getpid(), signal.SIGTERM), print("tidied"))); '
        'sys.exit(run_tool(lambda: None))'
    )
    env = dict(os.environ, PYTHONPATH=f'{ROOT}{os.pathsep}{os.environ.get("PYTHONPATH", "")}')
    done = subprocess.run([sys.executable, '-c', code], env=env, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout) == (0, 'tidied\nTrue\n')


@pytest.fixture
def two_ranks(start, config):
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = str(probe.getsockname()[1])
    script = ROOT / 'tools' / 'dist_train.sh'
    run = start('bash', script, config, 2, PORT=port, CUDA_VISIBLE_DEVICES='')
    run.wait_until_it_trains()
    return run


def test_the_launcher(two_ranks):
    two_ranks.process.send_signal(signal.SIGTERM)
    assert two_ranks.end() == 143
    assert two_ranks.said() == ['terminated: no checkpoint was saved yet']
    assert two_ranks.left() == []


def test_a_rank_that_is_killed_is_named_in_seconds(two_ranks):
    with open(f'/proc/{two_ranks.process.pid}/task/{two_ranks.process.pid}/children') as file:
        rank = int(file.read().split()[1])
    begin = time.monotonic()
    os.kill(rank, signal.SIGKILL)
    assert two_ranks.end() == 1
    assert time.monotonic() - begin < 20
    assert f'exitcode  : -9 (pid: {rank})' in two_ranks.err.read_text()


def losses(work_dir):
    """The loss of each iteration."""
    lines = [
        line for file in sorted(work_dir.glob('*/vis_data/scalars.json')) for line in file.read_text().splitlines()
    ]
    return {entry['step']: entry['loss'] for entry in map(json.loads, lines) if 'loss' in entry}


@pytest.mark.parametrize('workers', [0, 1])
def test_a_checkpoint_within_an_epoch_is_gone_on_from_exactly(start, tmp_path, workers):
    """Equal to the run that was never stopped, in every digit of the losses and every bit of the weights."""
    cfg = Config(run_config(write_dataset(tmp_path / 'videos', good=40), tmp_path / 'run', workers=workers, epochs=3))
    cfg.param_scheduler = [dict(type='CosineAnnealingLR', T_max=3, by_epoch=True, convert_to_iter_based=True)]
    cfg.optim_wrapper.accumulative_counts = 2
    cfg.terminal = 'log'
    cfg.dump(tmp_path / 'tiny.py')
    command = (sys.executable, ROOT / 'tools' / 'train.py', tmp_path / 'tiny.py', '--work-dir')
    assert start(*command, tmp_path / 'whole').end(300) == 0
    run = start(*command, tmp_path / 'run', '--checkpoint-on-sigterm')
    run.wait_until_it_trains(r'\[2\]\[ *5/20\]')
    os.killpg(run.process.pid, signal.SIGTERM)  # the data worker hears of it too, as under Slurm
    assert run.end() == 143
    assert run.said() == [f'terminated: {tmp_path}/run/stopped.pth was kept; --resume goes on from it']
    stopped = torch.load(tmp_path / 'run' / 'stopped.pth', weights_only=True)['meta']
    assert stopped['iter'] == 20 * stopped['epoch'] + stopped['within_epoch']['done']
    assert stopped['within_epoch']['done'] % 2 == 0  # no gradient was under way
    assert start(*command, tmp_path / 'run', '--resume').end(300) == 0
    assert f'{stopped["within_epoch"]["done"]} of the 20 iterations' in (tmp_path / 'out.txt').read_text()
    assert losses(tmp_path / 'run') == losses(tmp_path / 'whole')
    ours, theirs = (torch.load(tmp_path / name / 'epoch_3.pth', weights_only=True) for name in ('run', 'whole'))
    assert ours['meta']['iter'] == theirs['meta']['iter'] == 60
    assert all(torch.equal(ours['state_dict'][name], value) for name, value in theirs['state_dict'].items())
