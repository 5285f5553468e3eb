"""The record of corrupt and unusual videos: decoding steps write it, also in workers, ``CorruptVideoHook`` reads it.

Each process has one record: a folder that lasts until the process ends, and whose name its data workers inherit in an
environment variable. The state of the record decides what is recorded, so that no corrupt file goes unnoticed when
nobody reports it: ``closed`` (nothing is recorded; the state before the first run and after each run), ``waiting``
(training files only, because an iteration-based loop starts its workers before any hook hears of the run) or ``open``
(everything, while a run with the hook is in progress).
"""

import atexit
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: The environment variable that names the folder of this process's record.
RECORD_ENV = 'TEXTXFER_CORRUPT_VIDEO_DIR'
_LINES, _STATE = 'corrupt.jsonl', 'state'

_noted: set[tuple[str, bool]] = set()
_is_silent = False
_folder: Path | None = None  # of this process; workers that are forked know it from the environment


def _own_folder() -> Path:
    """Create the folder of this process on first use, and make it known to workers that start afterwards."""
    global _folder
    if _folder is None:
        _folder = Path(tempfile.mkdtemp(prefix='textxfer_mm_'))
        atexit.register(_remove, _folder, os.getpid())
    os.environ[RECORD_ENV] = str(_folder)
    return _folder


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked worker must not remove what the main process still reads
        shutil.rmtree(folder, ignore_errors=True)


def wait_for_run() -> None:
    """Record training files, for the run that is about to start; an open record stays open."""
    folder = _own_folder()
    if _state(folder) != 'open':
        (folder / _STATE).write_text('waiting')


def open_for(owner: int) -> None:
    """Record all files, and discard what an interrupted run left behind.

    Args:
        owner: The future reader of the record, for :func:`is_open_for`.
    """
    folder = _own_folder()
    if _state(folder) == 'open':
        (folder / _LINES).unlink(missing_ok=True)
    (folder / _STATE).write_text(f'open {owner}')


def is_open_for(owner: int) -> bool:
    """Return whether everything since :func:`open_for` was recorded for this reader."""
    folder = _own_folder()
    file = folder / _STATE
    return file.is_file() and file.read_text() == f'open {owner}'


def close() -> None:
    """Stop recording, and discard what was recorded."""
    folder = _own_folder()
    for name in (_STATE, _LINES):
        (folder / name).unlink(missing_ok=True)


def read(offset: int) -> tuple[list[dict[str, Any]], int]:
    """Return the entries after a byte offset, and the offset at which they end."""
    file = _own_folder() / _LINES
    if not file.is_file() or file.stat().st_size <= offset:
        return [], offset
    with file.open('rb') as stream:
        stream.seek(offset)
        new = stream.read()
    whole = new[: new.rfind(b'\n') + 1]
    return [json.loads(line) for line in whole.splitlines()], offset + len(whole)


def record(name: str, reason: str, *, test_mode: bool) -> Path | None:
    """Record a corrupt video, from any worker.

    Returns:
        The folder of the record, or None if nothing was recorded because no hook will report it.
    """
    return _write('corrupt', name, reason, test_mode=test_mode)


def note(name: str, remark: str, *, test_mode: bool) -> None:
    """Note what is unusual about a video that can be decoded, once in each worker."""
    if (name, test_mode) not in _noted and _write('unusual', name, remark, test_mode=test_mode):
        _noted.add((name, test_mode))


@contextmanager
def nobody_reads() -> Iterator[None]:
    """Record nothing in this process meanwhile, so that the first corrupt video is an error."""
    global _is_silent
    before, _is_silent = _is_silent, True
    try:
        yield
    finally:
        _is_silent = before


def _write(kind: str, name: str, reason: str, *, test_mode: bool) -> Path | None:
    folder = os.environ.get(RECORD_ENV)
    is_heard = not _is_silent and folder is not None
    if not is_heard or _state(Path(folder)) not in (('open',) if test_mode else ('open', 'waiting')):
        return None
    line = json.dumps(dict(kind=kind, name=name, reason=reason, test=test_mode)) + '\n'
    descriptor = os.open(os.path.join(folder, _LINES), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, line.encode())  # a single write, so that lines of several workers do not mix
    finally:
        os.close(descriptor)
    return Path(folder)


def _state(folder: Path) -> str:
    try:
        return (folder / _STATE).read_text().partition(' ')[0] or 'closed'
    except OSError:
        return 'closed'
