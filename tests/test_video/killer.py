"""Readers that die of their file, as native code does; the child process of a test calls them."""

import os
import signal


def dies(*args):
    """Abort."""
    os.abort()


def is_killed(*args):
    """Be killed, as for memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def prints(*args):
    """Print raw bytes, as native code does."""
    os.write(1, b'\x1b[31mraw stdout\n')
    os.write(2, b'\x1b[31mraw stderr\n')
    return 'done'


def raises(*args):
    """Raise."""
    raise ValueError('of the child')


def dies_of_good(video):
    """Abort at one file, and examine the others."""
    from textxfer_mm.video.examine import examine

    return os.abort() if video.endswith('good.mp4') else examine(video)
