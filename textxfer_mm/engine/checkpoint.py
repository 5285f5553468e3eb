"""Reading checkpoint files: tensors and plain values only, and one clear message where a file is something else.

Importing this module makes MMEngine's own loader (``load_from``, ``--resume``, ``init_cfg``) read local files and
downloads through it.
"""

import contextlib
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from mmengine.runner import checkpoint as mmengine_checkpoint

from textxfer_mm import compat
from textxfer_mm.errors import UserError, nearest

compat.apply()

URL = re.compile(r'^[\w.+-]+://')


def require_checkpoint(path: str | Path) -> Path | None:
    """Return the local file of ``path``, or None for a URL.

    Raises:
        UserError: If there is no such file.
    """
    if URL.match(str(path)):
        return None
    file = Path(path).expanduser()
    if not file.is_file():
        siblings = [p.name for p in file.parent.glob('*.pth')] if file.parent.is_dir() else []
        raise UserError(f'checkpoint {path} does not exist.{nearest(file.name, siblings)}')
    return file


def load_checkpoint_file(path: str | Path, map_location: Any = 'cpu') -> Any:
    """Load a checkpoint file, allowing tensors, plain values and what MMEngine's Runner saves, but no code.

    Args:
        path: A local file.
        map_location: As in :func:`torch.load`.

    Returns:
        What was saved: with MMEngine a dict of ``state_dict``, ``meta``, ...

    Raises:
        UserError: If the file is missing, truncated, no checkpoint, or wants to run code.
    """
    file = require_checkpoint(path)
    if file is None:
        raise UserError(f'{path} is a URL; download the checkpoint first.')
    with _clear_errors(path):
        return torch.load(file, map_location=map_location, weights_only=True)


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


def load_from_local(filename: str, map_location: Any) -> Any:
    """Load a local checkpoint for MMEngine (it prints the name of this function)."""
    return load_checkpoint_file(filename, map_location)


def load_from_http(filename: str, map_location: Any = None) -> Any:
    """Download a checkpoint for MMEngine into torch's hub cache, on rank 0 first, and load it."""
    with _clear_errors(filename):
        return mmengine_checkpoint.load_from_http(filename, map_location)


mmengine_checkpoint.CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)
mmengine_checkpoint.CheckpointLoader.register_scheme(
    prefixes=('http://', 'https://'), loader=load_from_http, force=True
)
