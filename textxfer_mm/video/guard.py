"""Native code that may kill its process runs in a child, which costs the file and not the run.

The child lives as long as its owner, or until a file kills it; the next call starts another. It is started with
``subprocess``, as the workers of a DataLoader may have no children of ``multiprocessing``.
"""

import atexit
import functools
import itertools
import os
import pickle
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from textxfer_mm.video.child import READY
from textxfer_mm.video.index import VideoFacts, VideoIndex
from textxfer_mm.video.reader import Shown, VideoReader
from textxfer_mm.video.unreadable import UnreadableVideoError

_START = 'import sys; sys.path[:] = {path!r}; from textxfer_mm.video.child import main; main()'


class GuardedProcess:
    """A child process that calls functions, one after the other."""

    def __init__(self) -> None:
        self._child: subprocess.Popen | None = None

    def call(self, function: Callable, *args: Any) -> Any:
        """Call a function of a module in the child.

        Raises:
            UnreadableVideoError: The child died of it.
            Exception: What the function raised.
        """
        if self._child is None:
            self._start()
        try:
            pickle.dump((function, args), self._child.stdin, protocol=5)
            self._child.stdin.flush()
            is_result, value = pickle.load(self._child.stdout)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError) as error:
            raise UnreadableVideoError(f'it kills its decoder ({self._end()})') from error
        except BaseException:  # a late answer would be taken for that to the next call
            self.close()
            raise
        if not is_result:
            raise value
        return value

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.kill()
            self._end()

    def _start(self) -> None:
        code = _START.format(path=[os.path.abspath(folder) for folder in sys.path])
        self._child = subprocess.Popen([sys.executable, '-c', code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            ready = pickle.load(self._child.stdout) == READY
        except EOFError:
            ready = False
        if not ready:
            raise RuntimeError(f'the process that decodes videos did not start ({self._end()})')

    def _end(self) -> str:
        """Wait for the child, forget it and say how it ended."""
        child, self._child = self._child, None
        with child:
            status = child.wait()
        return signal.Signals(-status).name if status < 0 else f'exit status {status}'


class GuardedReader:
    """A :class:`VideoReader` whose file is decoded by a child process.

    Args:
        source: Path or content of the file.
        num_threads: Threads that decode.
    """

    def __init__(self, source: str | bytes, num_threads: int = 1) -> None:
        self._source, self._num_threads = source, num_threads
        self.facts: VideoFacts = _child_of(os.getpid()).call(_facts, source, num_threads)

    def __len__(self) -> int:
        return self.facts.frames

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Decode frames, see :meth:`VideoReader.read`."""
        return _child_of(os.getpid()).call(_read, self._source, self._num_threads, indices)

    def seconds(self) -> np.ndarray:
        """When each frame is shown, see :meth:`VideoReader.seconds`."""
        return _child_of(os.getpid()).call(_seconds, self._source, self._num_threads)

    def stream(self, numbers: np.ndarray) -> Iterator[Shown]:
        """Decode frames in one go, see :meth:`VideoReader.stream`."""
        child, name = _child_of(os.getpid()), uuid.uuid4().hex
        child.call(_begin_stream, name, self._source, self._num_threads, numbers)
        try:
            while frames := child.call(_next_of_stream, name):
                yield from frames
        finally:
            with suppress(UnreadableVideoError):
                child.call(_end_stream, name)


def open_video(source: str | bytes, num_threads: int = 1) -> VideoReader | GuardedReader:
    """Open a video; one that is out of the ordinary is decoded by a child process.

    Args:
        source: Path or content of the file.
        num_threads: Threads that decode; 0 lets FFmpeg choose.

    Raises:
        UnreadableVideoError: There is no video in the file, or nothing to show.
    """
    index = VideoIndex(source, num_threads)
    if index.facts.is_plain:
        return VideoReader(source, num_threads, index)
    index.close()
    return GuardedReader(source, num_threads)


@functools.lru_cache(maxsize=1)
def _child_of(process: int) -> GuardedProcess:
    """The child of a process by its number: one that forks does not share its own."""
    child = GuardedProcess()
    atexit.register(lambda: child.close() if os.getpid() == process else None)
    return child


def _facts(source: str | bytes, num_threads: int) -> VideoFacts:
    return _reader_of(source, num_threads).facts


def _read(source: str | bytes, num_threads: int, indices: np.ndarray) -> np.ndarray:
    return _reader_of(source, num_threads).read(indices)


@functools.lru_cache(maxsize=1)
def _reader_of(source: str | bytes, num_threads: int) -> VideoReader:
    """The reader in the child; the last one stays open."""
    return VideoReader(source, num_threads)


def _seconds(source: str | bytes, num_threads: int) -> np.ndarray:
    return _reader_of(source, num_threads).seconds()


#: In the child: what is being streamed, by name.
_STREAMS: dict[str, Iterator[Shown]] = {}
#: Frames that the child hands over at once.
_AT_ONCE = 8


def _begin_stream(name: str, source: str | bytes, num_threads: int, numbers: np.ndarray) -> None:
    _STREAMS[name] = VideoReader(source, num_threads).stream(numbers)


def _next_of_stream(name: str) -> list[Shown]:
    if name not in _STREAMS:
        raise UnreadableVideoError('the process that decoded it has ended')
    return list(itertools.islice(_STREAMS[name], _AT_ONCE))


def _end_stream(name: str) -> None:
    _STREAMS.pop(name, None)
