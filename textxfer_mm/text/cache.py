"""The cache on disk: built classifiers by key, and the hashes of large files."""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cache
from pathlib import Path

from filelock import FileLock

from textxfer_mm.errors import NotAtHandError, UserError
from textxfer_mm.files import write_text
from textxfer_mm.text.bundle import ClassifierBundle

logger = logging.getLogger(__name__)

#: A file changed less than this many seconds ago may change again within the resolution of its time stamp.
_SETTLED_AFTER = 2.0


def cache_dir() -> Path:
    """Return the folder of the cache: ``$TEXTXFER_CACHE``, or ``~/.cache/textxfer_mm``."""
    return Path(os.environ.get('TEXTXFER_CACHE') or '~/.cache/textxfer_mm').expanduser()


def cached_bundle(key: str, build: Callable[[], ClassifierBundle]) -> ClassifierBundle:
    """Return the classifier stored under ``key``, or build and store it.

    A damaged file is replaced, with a warning. Where the folder cannot be written, the classifier is built each time,
    with one warning. Of several processes (ranks) that want the same classifier, one builds and the others wait for it.

    Args:
        key: Must stand for everything the classifier depends on; becomes part of a file name.
        build: Makes the classifier.
    """
    path = cache_dir() / 'classifiers' / f'{key}.safetensors'
    bundle = _load(path)
    if bundle is not None:
        return bundle
    with _locked(path):
        bundle = _load(path)
        if bundle is None:
            bundle = build()
            try:
                bundle.save(path)
            except OSError as error:
                _warn_unwritable(str(cache_dir()), str(error))
    return bundle


def _locked(path: Path) -> AbstractContextManager:
    """Hold the lock of a cached file; the lock of a process that dies is released by the system."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(path.with_suffix('.lock')).acquire()
    except OSError as error:
        _warn_unwritable(str(cache_dir()), str(error))
        return nullcontext()


def _load(path: Path) -> ClassifierBundle | None:
    """Read a cached classifier; None where there is none that can be used."""
    if not path.is_file():
        return None
    try:
        return ClassifierBundle.load(path)
    except UserError as error:
        logger.warning('The cached classifier is built again: %s', error)
        with suppress(OSError):
            path.unlink()
        return None


def file_digest(path: str | Path) -> str:
    """Return the SHA-256 of a file's content.

    It is remembered in the cache by path, size and time of change, so that weights of gigabytes are read once.

    Raises:
        UserError: There is no such file.
    """
    path = Path(path).expanduser().resolve()
    if not path.is_file():
        raise NotAtHandError(f'File not found: {path}.')
    stat = path.stat()
    stamp = [stat.st_size, stat.st_mtime_ns]
    memory = _read_digests()
    known = memory.get(str(path))
    if isinstance(known, list) and known[:2] == stamp:
        return known[2]
    with path.open('rb') as file:
        digest = hashlib.file_digest(file, 'sha256').hexdigest() if hasattr(hashlib, 'file_digest') else _sha256(file)
    if time.time() - stat.st_mtime > _SETTLED_AFTER:
        content = json.dumps({**_read_digests(), str(path): [*stamp, digest]}, indent=0)
        try:
            write_text(_digests_path(), content)
        except OSError as error:
            _warn_unwritable(str(cache_dir()), str(error))
    return digest


def _sha256(file) -> str:
    """What ``hashlib.file_digest`` does from Python 3.11 on."""
    digest = hashlib.sha256()
    while chunk := file.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()


def _digests_path() -> Path:
    return cache_dir() / 'digests.json'


def _read_digests() -> dict[str, list]:
    try:
        content = json.loads(_digests_path().read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


@cache
def _warn_unwritable(folder: str, reason: str) -> None:
    logger.warning(
        'The cache %s cannot be written (%s): classifiers are built anew each time. Set TEXTXFER_CACHE to a folder '
        'that can.',
        *(folder, reason),
    )
