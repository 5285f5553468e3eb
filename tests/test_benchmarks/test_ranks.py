"""The processes that train together end with the one that started them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

SCRIPT = """
import os, sys, time
from pathlib import Path
from mmengine.config import Config
from harness.ranks import on_ranks

def wait(cfg, folder):
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(600)

if __name__ == '__main__':
    on_ranks(2, wait, Config(dict()), sys.argv[1], log=Path(sys.argv[1]) / 'log')
"""


def until(condition, seconds=120):
    """Wait for it; whether it came."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)
    return condition()


def test_they_end_when_it_is_killed_in_the_background(tmp_path):
    (tmp_path / 'script.py').write_text(SCRIPT)
    pids = tmp_path / 'pids'
    pids.mkdir()
    path = os.pathsep.join(str(Path(__file__).parents[2] / part) for part in ('.', 'benchmarks'))
    command = subprocess.Popen(
        [sys.executable, str(tmp_path / 'script.py'), str(pids)],
        env=dict(os.environ, PYTHONPATH=path),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # as a shell does for what runs behind it
    )
    try:
        assert until(lambda: len(list(pids.glob('[0-9]*'))) == 2)
    finally:
        command.kill()
        command.wait()
    started = [int(file.name) for file in pids.glob('[0-9]*')]
    try:
        assert until(lambda: not any(map(is_alive, started)), seconds=10)
    finally:
        for pid in filter(is_alive, started):
            os.kill(pid, signal.SIGKILL)


def is_alive(pid):
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not Path(f'/proc/{pid}/stat').exists() or Path(f'/proc/{pid}/stat').read_text().split()[2] != 'Z'
