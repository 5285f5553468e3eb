"""CLIP models as folders: open_clip's own local form, weights and what they mean side by side.

Such a folder is what a repository of open_clip on the Hugging Face hub holds, and what
``open_clip.create_model_from_pretrained('local-dir:FOLDER')`` reads.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from textxfer_mm.errors import UserError, first_few, first_line, nearest
from textxfer_mm.files import replacing, require_writable_folder, write_text
from textxfer_mm.text.clip_arch import WEIGHT_FILES, resolve_arch

CONFIG_FILE = 'open_clip_config.json'
#: What the weights can be written in.
DTYPES = {'float32': torch.float32, 'float16': torch.float16}


@dataclass(frozen=True)
class CLIPFolder:
    """What a folder holds.

    Attributes:
        arch: The model config, with ``preprocess_cfg``: the ``arch`` of ``CLIPBackbone`` and ``CLIPTextEncoder``.
        weights: The file of the weights: their ``pretrained``.
    """

    arch: dict[str, Any]
    weights: Path


def read_clip_folder(path: str | Path) -> CLIPFolder:
    """Read what a folder in open_clip's local form says of its model; the weights are not read.

    Args:
        path: The folder.

    Raises:
        UserError: It is no folder, cannot be read, a file is missing or damaged, or the config is none of open_clip.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise UserError(f'{path} is no folder. A CLIP model is a folder with {CONFIG_FILE} and {WEIGHT_FILES[0]}.')
    try:
        inside = sorted(file.name for file in folder.iterdir())
    except OSError as error:
        raise UserError(f'{path} cannot be read: {error.strerror}.') from error
    weights = next((folder / name for name in WEIGHT_FILES if (folder / name).is_file()), None)
    missing = [] if (folder / CONFIG_FILE).is_file() else [CONFIG_FILE]
    missing += [] if weights is not None else [' or '.join(WEIGHT_FILES)]
    if missing:
        raise UserError(
            f'The folder {path} is no CLIP model of open_clip: it lacks {" and ".join(missing)}; it holds '
            f'{first_few(inside, 5) or "nothing"}.'
        )
    return CLIPFolder(_read_arch(folder / CONFIG_FILE), weights)


def write_clip_folder(path: str | Path, arch: Mapping[str, Any], state: Mapping[str, Tensor], dtype: str) -> Path:
    """Write a CLIP model in open_clip's local form.

    Each file appears whole or not at all. The config is written last, and one of another model is taken away first: a
    folder with both files never mixes two architectures.

    Args:
        path: The folder; it is made.
        arch: The model config, with ``preprocess_cfg``.
        state: The weights of both towers under open_clip's names.
        dtype: What floating-point weights are written in, ``'float32'`` or ``'float16'``.

    Returns:
        The folder.

    Raises:
        UserError: The dtype is unknown, weights are too large for it, or the folder does not take the files.
    """
    config = {
        'model_cfg': {key: value for key, value in arch.items() if key != 'preprocess_cfg'},
        'preprocess_cfg': arch.get('preprocess_cfg', {}),
    }
    text = json.dumps(config, indent=2) + '\n'
    weights = {name: _cast(name, value, require_dtype(dtype)) for name, value in state.items()}
    folder = require_writable_folder(path, 'the folder of the CLIP model')
    file = folder / CONFIG_FILE
    if file.is_file() and file.read_text(encoding='utf-8', errors='replace') != text:
        file.unlink()
    with replacing(folder / WEIGHT_FILES[0]) as part:
        save_file(weights, part, metadata={'format': 'pt'})
    write_text(file, text)
    return folder


def require_dtype(dtype: str) -> torch.dtype:
    """The dtype of a name.

    Raises:
        UserError: Weights are not written in it.
    """
    if dtype not in DTYPES:
        raise UserError(f'Unknown dtype {dtype!r} of CLIP weights.{nearest(str(dtype), DTYPES)}')
    return DTYPES[dtype]


def _cast(name: str, value: Tensor, dtype: torch.dtype) -> Tensor:
    """A tensor as it is written; counters stay integers."""
    if not value.is_floating_point():
        return value.detach().cpu().contiguous()
    cast = value.detach().to('cpu', dtype).contiguous()
    if bool(value.isfinite().all()) and not bool(cast.isfinite().all()):
        raise UserError(f'{name} has values beyond {torch.finfo(dtype).max:g}, the largest of {dtype}: take float32.')
    return cast


def _read_arch(file: Path) -> dict[str, Any]:
    """The model config of a folder, with its ``preprocess_cfg``."""
    try:
        config = json.loads(file.read_text(encoding='utf-8'))
    except OSError as error:
        raise UserError(f'{file} cannot be read: {error.strerror}.') from error
    except (ValueError, RecursionError) as error:
        raise UserError(f'{file} is damaged, or no JSON: {first_line(error)}.') from error
    model = config.get('model_cfg') if isinstance(config, dict) else None
    if not isinstance(model, dict):
        raise UserError(f'{file} is no config of open_clip: it has no "model_cfg" with the parts of a model.')
    preprocess = config.get('preprocess_cfg') or {}
    if not isinstance(preprocess, dict):
        raise UserError(f'{file}: "preprocess_cfg" is {preprocess!r}; expected are mean, std and the like by name.')
    import open_clip  # here, as it takes seconds

    # What open_clip itself takes for what is not told.
    told = {'mean': open_clip.OPENAI_DATASET_MEAN, 'std': open_clip.OPENAI_DATASET_STD}
    told |= {key: value for key, value in preprocess.items() if value is not None}
    try:
        return resolve_arch({**model, 'preprocess_cfg': told})[1]
    except UserError as error:
        raise UserError(f'{file}: {error}') from error
