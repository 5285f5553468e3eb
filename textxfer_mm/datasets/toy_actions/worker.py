"""Renders clips in processes of their own.

Fresh interpreters rather than forks: OpenCV's threads do not survive a fork, and the caller may have used OpenCV.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2

from textxfer_mm.datasets.toy_actions.clip import HEIGHT, WIDTH, render_clip
from textxfer_mm.errors import UserError
from textxfer_mm.files import replacing

#: What a process runs: this package without what registers classes around it, which would import mmaction for seconds.
_BOOT = """
import sys, types
sys.argv[0] = 'textxfer'
datasets = types.ModuleType('textxfer_mm.datasets')
datasets.__path__ = [sys.argv[1]]
sys.modules['textxfer_mm.datasets'] = datasets
from textxfer_mm.datasets.toy_actions.worker import main
main()
"""


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
                    command = [sys.executable, '-c', _BOOT, str(Path(__file__).parents[1])]
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
                process.kill()
                process.wait()
        if failed or done != len(jobs):
            errors.seek(0)
            reason = (errors.read().strip().splitlines() or ['no output'])[-1]
            raise UserError(f'Rendering toy actions stopped after {done} of {len(jobs)} videos: {reason}')


def main() -> None:
    """Render the jobs listed on standard input, one JSON array a line."""
    cv2.setNumThreads(1)
    for line in sys.stdin:
        save(Job(*json.loads(line)))
        sys.stdout.write('.')
        sys.stdout.flush()


def save(job: Job) -> None:
    """Render one video and move it into place.

    Raises:
        UserError: OpenCV cannot write it.
    """
    clip = render_clip(job.action, job.key)
    path = Path(job.path)
    with replacing(path) as part:
        writer = cv2.VideoWriter(str(part), cv2.VideoWriter_fourcc(*'mp4v'), clip.fps, (WIDTH, HEIGHT))
        if not writer.isOpened():
            raise UserError(
                f'OpenCV cannot write {part}: the folder is not writable, or this build of cv2 has no ffmpeg.'
            )
        for frame in clip.frames:
            writer.write(frame)
        writer.release()
