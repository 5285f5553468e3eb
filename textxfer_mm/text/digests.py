"""The folder of the cache, and the hashes of large files, remembered in it."""

import hashlib
import json
import logging
import os
import time
from functools import cache
from pathlib import Path

from textxfer_mm.errors import NotAtHandError
from textxfer_mm.files import write_text

logger = logging.getLogger(__name__)

#: A file changed less than this many seconds ago may change again within the resolution of its time stamp.
_SETTLED_AFTER = 2.0


def cache_dir() -> Path:
    """Return the folder of the cache: ``$TEXTXFER_CACHE``, or ``~/.cache/textxfer_mm``."""
    return Path(os.environ.get('TEXTXFER_CACHE') or '~/.cache/textxfer_mm').expanduser()


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
    digest = content_digest(path)
    if time.time() - stat.st_mtime > _SETTLED_AFTER:
        content = json.dumps({**_read_digests(), str(path): [*stamp, digest]}, indent=0)
        try:
            write_text(_digests_path(), content)
        except OSError as error:
            warn_unwritable(str(cache_dir()), str(error))
    return digest


def content_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content, which is read anew."""
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest() if hasattr(hashlib, 'file_digest') else _sha256(file)


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
def warn_unwritable(folder: str, reason: str) -> None:
    """Warn once that the cache cannot be written."""
    logger.warning(
        'The cache %s cannot be written (%s): classifiers are built anew each time. Set TEXTXFER_CACHE to a folder '
        'that can.',
        *(folder, reason),
    )
