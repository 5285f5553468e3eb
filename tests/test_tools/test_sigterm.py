"""SIGTERM (Slurm, Docker) ends a run, its data workers and its ranks in one line; a killed rank ends the others."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

import pytest
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
        self.temporary = folder / 'temporary'
        self.temporary.mkdir()
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

    def wait_until_it_trains(self):
        """Wait until the third epoch."""
        end = time.monotonic() + 100
        while not re.search(r'Epoch\(train\) +\[3\]', self.out.read_text()):
            assert self.process.poll() is None, self.err.read_text()
            assert time.monotonic() < end, 'it did not come'
            time.sleep(0.1)

    def kill(self):
        """End all that is left of it."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

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
    cfg.dump(tmp_path / 'tiny.py')
    return tmp_path / 'tiny.py'


@pytest.mark.parametrize('whole_group', [False, True])
def test_training(start, config, whole_group):
    run = start(sys.executable, ROOT / 'tools' / 'train.py', config)
    run.wait_until_it_trains()
    assert run.left() != []
    (os.killpg if whole_group else os.kill)(run.process.pid, signal.SIGTERM)
    assert run.end() == 143
    assert run.said() == ['terminated']
    assert run.left() == []


def test_a_command(start, tmp_path):
    run = start(sys.executable, '-c', CLI, 'toy-actions', tmp_path / 'toys')
    end = time.monotonic() + 100
    while not list(tmp_path.glob('toys/videos/train/*.mp4')) and time.monotonic() < end:
        time.sleep(0.1)
    run.process.send_signal(signal.SIGTERM)
    assert run.end() == 143
    assert run.said() == ['terminated']
    assert not list(tmp_path.rglob('.*.mp4'))


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
    assert two_ranks.said() == ['terminated']
    assert two_ranks.left() == []


def test_a_rank_that_is_killed_is_named_in_seconds(two_ranks):
    with open(f'/proc/{two_ranks.process.pid}/task/{two_ranks.process.pid}/children') as file:
        rank = int(file.read().split()[1])
    begin = time.monotonic()
    os.kill(rank, signal.SIGKILL)
    assert two_ranks.end() == 1
    assert time.monotonic() - begin < 20
    assert f'exitcode  : -9 (pid: {rank})' in two_ranks.err.read_text()
