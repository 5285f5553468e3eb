"""Runs a script that loses its life while it saves: ``python faults.py STAGE NUMBER SCRIPT ARGUMENTS...``.

Stages of the writing of a checkpoint: ``write`` (half of it is written), ``flush`` (all of it, nothing flushed),
``rename`` (flushed, not yet in its place) and ``remove`` (in its place, the old one still there). At the stage's
occurrence of that number, counted from 1 over all checkpoints, the process gets SIGKILL.
"""

import os
import runpy
import signal
import sys
from collections.abc import Callable

STAGES = ('write', 'flush', 'rename', 'remove')


def die_at(stage: str, number: int) -> None:
    """Let this process die at a stage of saving."""
    name = {'write': 'fsync', 'flush': 'fsync', 'rename': 'replace', 'remove': 'remove'}[stage]
    real: Callable = getattr(os, name)
    left = number

    def deadly(subject: int | str, *args: str) -> None:
        nonlocal left
        path = os.readlink(f'/proc/self/fd/{subject}') if isinstance(subject, int) else str(subject)
        if path.endswith('.pth'):
            left -= 1
            if not left:
                if stage == 'write':
                    os.ftruncate(subject, os.fstat(subject).st_size // 2)
                os.kill(os.getpid(), signal.SIGKILL)
        return real(subject, *args)

    setattr(os, name, deadly)


if __name__ == '__main__':
    die_at(sys.argv[1], int(sys.argv[2]))
    sys.argv = sys.argv[3:]
    sys.path[0] = os.path.dirname(sys.argv[0])
    runpy.run_path(sys.argv[0], run_name='__main__')
