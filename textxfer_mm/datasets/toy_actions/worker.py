"""Renders clips in a process of its own: ``python -m textxfer_mm.datasets.toy_actions.worker < jobs``."""

import json
import sys
from contextlib import suppress
from pathlib import Path

import cv2

from textxfer_mm.datasets.toy_actions.clip import HEIGHT, WIDTH, render_clip
from textxfer_mm.datasets.toy_actions.jobs import Job
from textxfer_mm.errors import UserError
from textxfer_mm.files import replacing
from textxfer_mm.interrupts import Terminated, ending_on_sigterm


def main() -> None:
    """Render the jobs listed on standard input, one JSON array a line."""
    cv2.setNumThreads(1)
    with suppress(Terminated), ending_on_sigterm():
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


if __name__ == '__main__':
    main()
