"""The cache of built classifiers on disk."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

from filelock import FileLock

from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.errors import UserError
from textxfer_mm.text.digests import cache_dir, warn_unwritable

logger = logging.getLogger(__name__)


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
                warn_unwritable(str(cache_dir()), str(error))
    return bundle


def _locked(path: Path) -> AbstractContextManager:
    """Hold the lock of a cached file; the lock of a process that dies is released by the system."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(path.with_suffix('.lock')).acquire()
    except OSError as error:
        warn_unwritable(str(cache_dir()), str(error))
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
