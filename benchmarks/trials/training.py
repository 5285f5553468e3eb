"""Training runs as processes that can be killed, and what they leave: status, messages, losses, weights."""

import atexit
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from textxfer_mm.engine.checkpoint import load_checkpoint_file
from trials.faults import __file__ as FAULTS

TRAIN = Path(__file__).parents[2] / 'tools' / 'train.py'
#: Runs a command for which a folder is read-only, even if it is root's, in a mount namespace of its own.
LOCKED = (
    *('unshare', '--mount', *(() if not os.geteuid() else ('--map-root-user',)), 'sh', '-c'),
    'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"',
)


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        status: Its exit status; minus the number of the signal that killed it.
        errors: The lines on stderr that begin with ``error:``.
        has_traceback: Whether it printed one.
        is_alone: Whether nothing of its process group outlived it by ten seconds.
        left: Our temporary folders and unfinished files that it left.
    """

    status: int
    errors: tuple[str, ...]
    has_traceback: bool
    is_alone: bool
    left: tuple[str, ...]


class Training:
    """``tools/train.py`` on one work dir, as often as it takes.

    Args:
        config: The config.
        work_dir: The work dir; its output goes beside it.
        options: Further arguments.
    """

    def __init__(self, config: Path, work_dir: Path, options: Sequence[str]) -> None:
        self.config, self.work_dir, self.options = config, work_dir, list(options)
        # Data workers put sockets there, whose paths must be short.
        self.temporary = Path(tempfile.mkdtemp(prefix='trial'))
        atexit.register(shutil.rmtree, self.temporary, ignore_errors=True)
        self.log = work_dir.with_name(f'{work_dir.name}.log')
        work_dir.parent.mkdir(parents=True, exist_ok=True)

    def start(self, *arguments: str, fault: Sequence[str] = (), locked: Path | None = None) -> subprocess.Popen:
        """Start it in a process group of its own.

        Args:
            arguments: Such as ``--resume``.
            fault: Stage and number for ``faults.py``.
            locked: A folder that is read-only for it.
        """
        for path in self.temporary.glob('*'):  # what a process left that was killed outright is not this one's
            shutil.rmtree(path, ignore_errors=True)
        prefix = [FAULTS, *fault] if fault else []
        given = ['--cfg-options', 'default_hooks.logger.interval=1', 'terminal=log', *self.options]
        command = [sys.executable, *prefix, TRAIN, self.config, '--work-dir', self.work_dir, *arguments, *given]
        path = os.pathsep.join(filter(None, [str(TRAIN.parents[1]), os.environ.get('PYTHONPATH')]))
        env = dict(os.environ, TMPDIR=str(self.temporary), OMP_NUM_THREADS='1', PYTHONPATH=path)
        if locked is not None:
            command = [*LOCKED, locked, *command]
        with self.log.open('w') as log:
            words = [str(word) for word in command]
            return subprocess.Popen(words, stdout=log, stderr=log, env=env, start_new_session=True)

    def wait_until_it_trains(self, process: subprocess.Popen) -> bool:
        """Wait for the first iteration of a process; whether there is one."""
        while process.poll() is None:
            if '(train)' in self.log.read_text():
                return True
            time.sleep(0.02)
        return False

    def end(self, process: subprocess.Popen) -> Ended:
        """Wait for the end of a process and of what it started."""
        status, end = process.wait(), time.monotonic() + 10
        while (is_alone := not _has_members(process.pid)) is False and time.monotonic() < end:
            time.sleep(0.05)
        if not is_alone:
            os.killpg(process.pid, signal.SIGKILL)
        said = self.log.read_text(errors='replace')
        errors = tuple(line for line in said.splitlines() if line.startswith('error: '))
        left = tuple(path.name for path in (*self.temporary.glob('textxfer_mm_*'), *self.work_dir.glob('.*.pth')))
        return Ended(status, errors, 'Traceback (most recent call last)' in said, is_alone, left)

    def losses(self) -> dict[int, float]:
        """The loss of each iteration; of iterations that were done twice, the later one."""
        found: dict[int, float] = {}
        for file in sorted(self.work_dir.glob('*/vis_data/scalars.json')):
            for line in file.read_text().splitlines():
                with suppress(ValueError):  # the last line of a run that was killed
                    record = json.loads(line)
                    if 'loss' in record:
                        found[record.get('iter', record.get('step'))] = record['loss']
        return found

    def weights(self) -> dict[str, torch.Tensor]:
        """The weights of the newest checkpoint."""
        newest = (self.work_dir / 'last_checkpoint').read_text().strip()
        return load_checkpoint_file(newest)['state_dict']

    def best(self) -> list[str]:
        """The names of the best checkpoints."""
        return sorted(path.name for path in self.work_dir.glob('best_*.pth'))

    def checkpoints(self) -> list[Path]:
        """The checkpoints of epochs and iterations."""
        return sorted(path for kind in ('epoch', 'iter') for path in self.work_dir.glob(f'{kind}_*.pth'))


def fill_disk(process: subprocess.Popen, size: int) -> None:
    """Let a running process write no file larger than this any more."""
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))


def equal(first: Training, second: Training) -> str:
    """What two runs differ in; empty if in nothing."""
    ours, theirs = first.losses(), second.losses()
    if ours != theirs:
        step = min((s for s in {*ours, *theirs} if ours.get(s) != theirs.get(s)), default=0)
        return f'loss of iteration {step}: {ours.get(step)} and {theirs.get(step)}'
    a, b = first.weights(), second.weights()
    if a.keys() != b.keys() or not all(torch.equal(a[name], b[name]) for name in a):
        return 'the weights'
    return '' if first.best() == second.best() else 'the best checkpoint'


def epoch_seconds(log: Path) -> float:
    """Seconds of an epoch (of the whole run where it counts iterations), as a run logged them."""
    text = log.read_text()
    times = [float(seconds) for seconds in re.findall(r'(?:Epoch|Iter)\(train\).* time: ([\d.]+)', text)]
    epochs = set(re.findall(r'Epoch\(train\) *\[(\d+)\]', text))
    return sum(times) / max(len(epochs), 1)


def _has_members(group: int) -> bool:
    """Whether a process group has members."""
    with suppress(ProcessLookupError):
        os.killpg(group, 0)
        return True
    return False
