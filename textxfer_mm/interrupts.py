"""SIGTERM, with which Slurm and Docker end a process, as an exception: what cleans up after Ctrl-C does so then too."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

#: The exit status of a process that ended because of SIGTERM, as shells have it.
TERMINATED = 128 + signal.SIGTERM
#: Seconds after which the exception is raised again if the process is still at work: something has swallowed it.
_AGAIN = 10.0
#: The same where Python itself says so: an exception in a destructor, or in what runs at a fork, leads nowhere.
_SOON = 0.05


class Terminated(BaseException):
    """The process was asked to end (SIGTERM); no :class:`Exception`, so that little catches it on its way."""


@contextmanager
def ending_on_sigterm() -> Iterator[None]:
    """Raise :class:`Terminated` in the main thread when SIGTERM comes; afterwards the signal is what it was before.

    Whatever else the body raises, or if it ends, after the request: :class:`Terminated` is what comes out. Processes
    that are forked meanwhile, such as data workers, die of the signal as usual. Once asked to end, a process leaves
    further SIGTERMs without effect: a launcher asks each process of a group that was asked already.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    request = _Request()
    _requests.append(request)
    before = signal.signal(signal.SIGTERM, request.take)
    ignored = sys.unraisablehook
    sys.unraisablehook = request.unraisable
    try:
        yield
        if request.is_made:
            raise Terminated
    except BaseException as error:
        request.end()
        if request.is_made and not isinstance(error, Terminated):
            raise Terminated from error
        raise
    finally:
        request.end()
        _requests.remove(request)
        sys.unraisablehook = request.unraisable if request.is_made else ignored
        signal.signal(signal.SIGTERM, signal.SIG_IGN if request.is_made else before)


def postpone(seconds: float) -> Callable[[], bool]:
    """Let the body of :func:`ending_on_sigterm` go on for some time after SIGTERM, to bring to an end what it does.

    It ends itself then, by raising :class:`Terminated`; if not, that is raised when the time is up. Whatever else it
    raises meanwhile ends it as well.

    Returns:
        Tells whether SIGTERM came; without such a body it is always False.
    """
    if not _requests:
        return lambda: False
    request = _requests[-1]
    request.patience = seconds
    return lambda: request.is_made


def end_data_workers() -> None:
    """Kill the data workers of a process that ends; PyTorch would wait for each of them, up to five seconds."""
    for child in multiprocessing.active_children():
        if child.daemon:
            child.kill()
    # PyTorch raises from its handler when a data worker has died, wherever this process is: here that is no news.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


class _Request:
    """The request to end, which is repeated until it is heard."""

    def __init__(self) -> None:
        self.is_made, self._is_heard = False, False
        self.patience = 0.0
        self._owner, self._ignored = os.getpid(), sys.unraisablehook

    def take(self, number: int, frame: FrameType | None) -> None:
        """Handle SIGTERM."""
        if os.getpid() != self._owner:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif not self.is_made:
            self.is_made = True
            signal.signal(signal.SIGALRM, self._raise)
            if self.patience:
                signal.setitimer(signal.ITIMER_REAL, self.patience)
            else:
                self._raise(number, frame)

    def unraisable(self, what: Any) -> None:
        """Take note of an exception that led nowhere; of a process that ends, others are no news."""
        if not self.is_made:
            self._ignored(what)
        elif issubclass(what.exc_type, Terminated) and not self._is_heard:
            signal.setitimer(signal.ITIMER_REAL, _SOON)

    def end(self) -> None:
        """Do not repeat it any more."""
        self._is_heard = True
        if self.is_made:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _raise(self, number: int, frame: FrameType | None) -> None:
        end_data_workers()  # what the exception leaves may be a connection to one, which would print that it broke
        signal.setitimer(signal.ITIMER_REAL, _AGAIN)
        raise Terminated


#: The requests of the bodies that are running, the innermost last.
_requests: list[_Request] = []
