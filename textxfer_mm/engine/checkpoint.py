"""Reading checkpoint files: tensors and plain values only, and one clear message where a file is something else.

Registration makes MMEngine's own loader (``load_from``, ``--resume``, ``init_cfg``) read local files and downloads
through this module.
"""

import contextlib
import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from mmengine.runner import checkpoint as mmengine_checkpoint
from torch import nn

from textxfer_mm.engine.finite import refuse_non_finite
from textxfer_mm.errors import UserError, first_few
from textxfer_mm.files import replacing
from textxfer_mm.inputs import require_checkpoint
from textxfer_mm.wrappers import strip_wrappers

#: The entry of ``meta`` in which ``textxfer train`` says what it kept.
TRAINED_ON_FOLDER = 'textxfer_train'


def load_checkpoint_file(path: str | Path, map_location: Any = 'cpu', *, mmap: bool = False) -> Any:
    """Load a checkpoint file, allowing tensors, plain values and what MMEngine's Runner saves, but no code.

    Args:
        path: A local file.
        map_location: As in :func:`torch.load`.
        mmap: Read the tensors when they are looked at, where the file allows it.

    Returns:
        What was saved: with MMEngine a dict of ``state_dict``, ``meta``, ...

    Raises:
        UserError: If the file is missing, truncated, no checkpoint, or wants to run code.
    """
    file = require_checkpoint(path)
    if file is None:
        raise UserError(f'{path} is a URL; download the checkpoint first.')
    with _clear_errors(path):
        mmap = mmap and zipfile.is_zipfile(file)
        return torch.load(file, map_location=map_location, weights_only=True, mmap=mmap)


@contextlib.contextmanager
def _clear_errors(path: str | Path) -> Iterator[None]:
    """Turn what :func:`torch.load` raises into one line that names the file."""
    try:
        yield
    except pickle.UnpicklingError as error:
        found = re.search(r'GLOBAL (\S+)|(getattr\(.*?\) is not allowed)', str(error), flags=re.S)
        if found is None:
            raise _not_a_checkpoint(path) from error
        wanted = found.group(1) or found.group(2)
        raise UserError(
            f'{path} was refused: besides tensors and plain values it wants to run {wanted}, which could harm this '
            "machine. If you trust its source, load it elsewhere and save its 'state_dict' alone."
        ) from error
    except RuntimeError as error:
        if 'TorchScript' in str(error):
            raise UserError(
                f'{path} is a TorchScript archive, not a checkpoint; give it to the backbone as `pretrained`.'
            ) from error
        if not re.search(r'PytorchStreamReader|zip archive|storage', str(error)):
            raise
        raise _not_a_checkpoint(path) from error
    except (URLError, ConnectionError, TimeoutError) as error:
        raise UserError(f'cannot download {path}: {error}') from error
    except PermissionError as error:
        raise UserError(f'{path} cannot be read: {error.strerror}.') from error
    except (OSError, EOFError, TypeError, LookupError, AttributeError, ValueError) as error:
        raise _not_a_checkpoint(path) from error


def _not_a_checkpoint(path: str | Path) -> UserError:
    return UserError(f'{path} is not a checkpoint (not written by torch.save), or it is truncated.')


def write_checkpoint(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint in one piece.

    Raises:
        UserError: The disk does not take it.
    """
    with replacing(path) as part:
        torch.save(content, part)


def state_of(loaded: Any, path: str | Path) -> dict[str, Any]:
    """The weights in what a checkpoint file holds, without the prefixes of wrappers: ``state_dict``, or the whole file.

    Raises:
        UserError: If there are none.
    """
    if isinstance(loaded, dict) and 'state_dict' not in loaded and 'model_state_dict' in loaded:
        raise UserError(
            f'{path} holds model_state_dict, as checkpoints of Text4Vis and ActionCLIP do; '
            'tools/model_converters/convert_checkpoint.py without --reverse makes one of ours of it.'
        )
    state = loaded.get('state_dict', loaded) if isinstance(loaded, dict) else None
    if not isinstance(state, dict) or not state or not all(isinstance(key, str) for key in state):
        raise UserError(f'{path} holds no state_dict. Give a checkpoint of a recognizer.')
    stripped, prefix = strip_wrappers(state)
    return stripped if prefix else state  # as it was loaded, with PyTorch's record of versions


def load_fully(model: nn.Module, state: dict[str, Any], source: str | Path) -> None:
    """Load weights of which a model must be filled entirely: half a model predicts nonsense.

    Args:
        model: The model; a text classifier of other class names or templates keeps its own.
        state: Its weights.
        source: Where they come from, for messages.

    Raises:
        UserError: If weights are missing, left over, of another shape or not finite.
    """
    refuse_non_finite(state, source)
    with refusing_misfits(source):
        mmengine_checkpoint.load_state_dict(model, state, strict=True, logger='silent')


@contextlib.contextmanager
def refusing_misfits(source: str | Path) -> Iterator[None]:
    """Turn what MMEngine's strict loading raises into one line that names the first differences."""
    try:
        yield
    except RuntimeError as error:
        first, *lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ['']
        if 'do not match exactly' not in first:
            raise
        shown = first_few(map(_shorten, lines), separator='; ')
        raise UserError(
            f'the checkpoint {source} does not fit this model: {shown}. Use the config it was trained with.'
        ) from error


def _shorten(line: str) -> str:
    """Keep the first few of a line's keys."""
    return first_few(line.split(', ')) if line.startswith(('unexpected key', 'missing keys')) else line.rstrip('.')


def load_from_local(filename: str, map_location: Any) -> Any:
    """Load a local checkpoint for MMEngine (it prints the name of this function)."""
    return _for_mmengine(load_checkpoint_file(filename, map_location), filename)


def load_from_http(filename: str, map_location: Any = None) -> Any:
    """Download a checkpoint for MMEngine into torch's hub cache, on rank 0 first, and load it."""
    with _clear_errors(filename):
        loaded = mmengine_checkpoint.load_from_http(filename, map_location)
    return _for_mmengine(loaded, filename)


def _for_mmengine(loaded: Any, path: str) -> dict[str, Any]:
    """Check that there are finite weights; drop the config of old checkpoints, which resuming would run as Python."""
    refuse_non_finite(state_of(loaded, path), path)
    if isinstance(loaded.get('meta'), dict):
        loaded['meta'].pop('config', None)
    return loaded


def read_checkpoints_of_mmengine() -> None:
    """Let MMEngine's own loader read local files and downloads through this module; twice is harmless."""
    register = mmengine_checkpoint.CheckpointLoader.register_scheme
    register(prefixes='', loader=load_from_local, force=True)
    register(prefixes=('http://', 'https://'), loader=load_from_http, force=True)
