"""Shares the rendering of clips among processes.

Fresh interpreters rather than forks: OpenCV's threads do not survive a fork, and the caller may have used OpenCV.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import NamedTuple

from textxfer_mm.errors import UserError

#: What a process runs.
WORKER = 'textxfer_mm.datasets.toy_actions.worker'


class Job(NamedTuple):
    """One video to be written."""

    path: str
    action: str
    key: tuple[int, ...]


def render_jobs(jobs: Sequence[Job], workers: int, progress: Callable[[int], None]) -> None:
    """Share the jobs among processes; ``progress`` is told how many are done.

    Raises:
        UserError: A process failed, with its last line of output.
    """
    reader, writer = os.pipe()  # every process sends one byte a video through it
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path)))
    processes = []
    with tempfile.TemporaryFile('w+') as errors:
        try:
            for rank in range(min(workers, len(jobs))):
                with tempfile.TemporaryFile('w+') as share:
                    share.writelines(json.dumps(job) + '\n' for job in jobs[rank::workers])
                    share.seek(0)
                    command = [sys.executable, '-m', WORKER]
                    processes.append(subprocess.Popen(command, stdin=share, stdout=writer, stderr=errors, env=env))
            os.close(writer)
            done = 0
            while sent := os.read(reader, 4096):
                done += len(sent)
                progress(done)
            failed = max((process.wait() for process in processes), key=abs, default=0)
        finally:
            os.close(reader)
            for process in processes:
                process.terminate()  # not killed: it tidies up first
            for process in processes:
                process.wait()
        if failed or done != len(jobs):
            errors.seek(0)
            reason = (errors.read().strip().splitlines() or ['no output'])[-1]
            raise UserError(f'Rendering toy actions stopped after {done} of {len(jobs)} videos: {reason}')
