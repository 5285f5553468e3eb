"""Classifier files in plain NumPy: what a bundle and an exported model, which knows no PyTorch, both read."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from textxfer_mm.errors import NotAtHandError, UserError

#: 2 added the glosses; files of version 1 are read as classifiers without.
FORMAT_VERSION = 2
KNOWN_VERSIONS = (1, FORMAT_VERSION)
METADATA_KEY = 'textxfer_mm'
HASH_KEY = 'sha256'
TENSOR_KEY = 'weight'


def digest_of(weight: np.ndarray, metadata: Mapping[str, Any]) -> str:
    """SHA-256 of what a classifier says of itself and of the bytes of its matrix (K, D)."""
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    digest.update(repr(tuple(weight.shape)).encode())
    digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def read_bundle_file(path: str | Path) -> tuple[np.ndarray, dict[str, Any], str]:
    """Read a classifier file; :func:`require_unaltered` is the caller's to ask.

    Returns:
        The matrix (K, D), what it says of itself (``format_version`` included), and the hash that it names.

    Raises:
        UserError: The file is missing (``NotAtHandError``), is no classifier, or is of a newer format.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise NotAtHandError(f'Classifier file not found: {path}.')
    try:
        with safe_open(path, framework='np') as file:
            header = file.metadata() or {}
            weight = file.get_tensor(TENSOR_KEY) if TENSOR_KEY in file.keys() else None  # noqa: SIM118
    except (SafetensorError, OSError, TypeError) as error:
        raise UserError(f'{path} is not a classifier file: not readable as safetensors ({error}).') from error
    if METADATA_KEY not in header or HASH_KEY not in header or weight is None:
        raise UserError(f'{path} is a safetensors file but not a classifier written by textxfer_mm.')
    try:
        metadata = json.loads(header[METADATA_KEY])
        version = metadata['format_version']
        if version not in KNOWN_VERSIONS:
            raise UserError(f'format version {version} is not one of those known here {KNOWN_VERSIONS}')
    except (UserError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise UserError(f'{path} is not a valid classifier: {error}') from error
    return weight, metadata, header[HASH_KEY]


def require_unaltered(weight: np.ndarray, metadata: Mapping[str, Any], told: str, path: str | Path) -> None:
    """Refuse a classifier whose content is not what its hash says.

    Raises:
        UserError: It was altered or damaged.
    """
    if digest_of(weight, metadata) != told:
        raise UserError(f'{path} was altered or damaged: its content does not match its hash. Build it again.')
