"""The repairs of :mod:`textxfer_mm.compat` that concern what MMEngine writes: a file is whole, or it is not there."""

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from textxfer_mm.errors import UserError
from textxfer_mm.files import replacing

#: The end of a message when a checkpoint could not be saved, after the name of the one before.
_GO_ON = 'stands: make room and go on from there with --resume.'
#: Where a checkpoint names the files that were to be removed once it was there: a run may be killed in between.
REPLACED = 'replaced_checkpoints'


def write_files_whole() -> None:
    """Let everything that MMEngine writes to a local disk appear whole or not at all: checkpoints, ``--dump``, records.

    Cause: ``LocalBackend`` writes into the file itself, so that whoever is killed, or finds the disk full, leaves half
    a file under the name of a whole one, and ``CheckpointHook`` writes ``last_checkpoint`` in the same way
    (https://github.com/open-mmlab/mmengine/blob/v0.10.7/mmengine/fileio/backends/local_backend.py).
    """
    from mmengine.fileio.backends import LocalBackend
    from mmengine.hooks import checkpoint_hook

    for name, mode, encoding in (('put', 'wb', None), ('put_text', 'w', 'utf-8')):
        if not hasattr(getattr(LocalBackend, name), '__wrapped__'):
            setattr(LocalBackend, name, _whole(getattr(LocalBackend, name), mode, encoding))
    checkpoint_hook.open = _open_whole


def _whole(released: Callable, mode: str, default_encoding: str | None) -> Callable:
    """One of the two writing methods of ``LocalBackend``, with a file that takes its place at the end."""

    @functools.wraps(released)
    def put(self: Any, obj: bytes | str, filepath: str | Path, encoding: str | None = default_encoding) -> None:
        with replacing(filepath) as part, part.open(mode, encoding=encoding) as file:
            file.write(obj)

    return put


@contextmanager
def _open_whole(path: str, mode: str) -> Iterator[IO]:
    """The ``open`` of ``mmengine.hooks.checkpoint_hook``, which opens one file, for writing."""
    with replacing(path) as part, part.open(mode) as file:
        yield file


def log_as_json() -> None:
    """Let the log of scalars stay JSON, which has no NaN: ``null`` where a loss is not finite.

    Cause: ``LocalVisBackend`` writes ``NaN`` and ``Infinity``, which Python reads and other readers of JSON refuse
    (https://github.com/open-mmlab/mmengine/blob/v0.10.7/mmengine/visualization/vis_backend.py).
    """
    from mmengine.visualization import LocalVisBackend

    released = LocalVisBackend._dump
    if hasattr(released, '__wrapped__'):
        return

    @functools.wraps(released)
    def dump(self: Any, value_dict: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        released(self, {key: _finite_or_none(value) for key, value in value_dict.items()}, *args, **kwargs)

    LocalVisBackend._dump = dump


def _finite_or_none(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def remove_checkpoints_last() -> None:
    """Let ``CheckpointHook`` remove old checkpoints after the new one is there.

    Cause: it removes first, so that with ``max_keep_ckpts=1`` nothing is left of a run that is killed while it saves,
    or whose disk is full; the best checkpoint goes the same way
    (https://github.com/open-mmlab/mmengine/blob/v0.10.7/mmengine/hooks/checkpoint_hook.py).
    """
    from mmengine.hooks import CheckpointHook

    for name in ('_save_checkpoint_with_step', '_save_best_checkpoint'):
        released = getattr(CheckpointHook, name)
        if not hasattr(released, '__wrapped__'):
            setattr(CheckpointHook, name, _removing_last(released))


def _removing_last(released: Callable) -> Callable:
    """One of the saving methods of ``CheckpointHook``, whose removals wait for its end; after an error they are off."""

    @functools.wraps(released)
    def save(self: Any, runner: Any, *args: Any, **kwargs: Any) -> None:
        backend, standing = self.file_backend, self.last_ckpt
        self.file_backend = later = _RemovesLater(backend, runner.message_hub)
        try:
            released(self, runner, *args, **kwargs)
        except UserError as error:
            if standing is None or str(error).endswith(_GO_ON):
                raise
            raise UserError(f'{error} {standing} {_GO_ON}') from error
        finally:
            self.file_backend = backend
        later.remove_all_but(_current(self))

    return save


def _current(hook: Any) -> set[str | None]:
    """The checkpoints that a ``CheckpointHook`` has just written or still counts on."""
    best = getattr(hook, 'best_ckpt_path_dict', {}).values()
    return {hook.last_ckpt, getattr(hook, 'best_ckpt_path', None), *best}


class _RemovesLater:
    """A storage backend that keeps in mind what it was told to remove.

    Args:
        backend: The backend that does everything else.
        hub: The message hub of the run, which checkpoints hold.
    """

    def __init__(self, backend: Any, hub: Any) -> None:
        self._backend, self._hub = backend, hub
        self._due: list[tuple[str, str]] = []
        if not isinstance(backend, _RemovesLater):  # saving the best saves the newest again
            hub.update_info(REPLACED, [])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def remove(self, filepath: str) -> None:
        """Remove a file later."""
        self._due.append(('remove', filepath))
        self._hub.update_info(REPLACED, [*self._hub.get_info(REPLACED), Path(filepath).name])

    def rmtree(self, dir_path: str) -> None:
        """Remove a folder later."""
        self._due.append(('rmtree', dir_path))

    def remove_all_but(self, kept: set[str | None]) -> None:
        """Remove what is due; a file that was written again under its old name stays."""
        for how, path in self._due:
            if path not in kept:
                getattr(self._backend, how)(path)
