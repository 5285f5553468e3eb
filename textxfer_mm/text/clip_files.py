"""Reading CLIP weights from a local file, whatever its format, and picking one tower out of them."""

import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from textxfer_mm.errors import NotAtHandError, UserError, first_few, first_line
from textxfer_mm.text.clip_layouts import to_open_clip
from textxfer_mm.text.pickled_settings import inert_settings

#: Scalars that the archives of OpenAI keep beside the weights.
OPENAI_META_KEYS = ('input_resolution', 'context_length', 'vocab_size')

#: Keys under which training scripts nest the weights.
NESTED_KEYS = ('state_dict', 'model_state_dict', 'model', 'model_state', 'module')
#: How many mappings deep the weights are looked for.
_DEPTH = 4

#: Names of the text tower where it lies inline in the model (open_clip's ``CLIP``, OpenAI).
_INLINE_TEXT = re.compile(r'^(transformer\.|token_embedding\.|ln_final\.|positional_embedding$|text_projection(\.|$))')


def read_clip_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Read the weights of a CLIP model.

    Reads TorchScript archives (the files of OpenAI), plain and nested state dicts, and safetensors; fp16, bf16 and
    fp32; with the names of open_clip and OpenAI, of Hugging Face's ``CLIPModel`` and of ViFi-CLIP. The format is
    detected from the content, not from the suffix. Pickles are read with ``weights_only=True``: no code of the file
    runs.

    Args:
        path: The file.

    Returns:
        CPU tensors by name, floating-point ones in float32, without wrapper prefixes and OpenAI's meta entries.

    Raises:
        UserError: The file is missing, is no checkpoint, or holds anything but tensors, plain containers and settings.
    """
    return _clean(read_weights_file(path), Path(path).expanduser())


def read_clip_scale(path: str | Path) -> float | None:
    """Read the factor of the cosines that a CLIP model was trained with; of safetensors nothing else is read.

    Args:
        path: The file.

    Returns:
        exp(``logit_scale``), or None where none is stored.

    Raises:
        UserError: See :func:`read_clip_state_dict`; or the scale is no finite number.
    """
    path = Path(path).expanduser()
    stored = None
    if path.is_file() and _is_safetensors(path):
        with _damage_told(path), safe_open(path, 'pt') as file:
            stored = file.get_tensor('logit_scale').float() if 'logit_scale' in set(file.keys()) else None
    if stored is None:
        stored = read_clip_state_dict(path).get('logit_scale')
    if stored is None:
        return None
    if stored.numel() != 1 or not stored.exp().isfinite().all():
        raise UserError(f'{path}: logit_scale, the logarithm of the scale, is {stored.flatten()[:5].tolist()}.')
    return stored.exp().item()


def read_weights_file(path: str | Path) -> object:
    """Read a file of any of the formats of :func:`read_clip_state_dict`, and return what is in it as it is.

    Raises:
        UserError: See :func:`read_clip_state_dict`.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise NotAtHandError(f'CLIP weights not found: {path} is not a file.')
    try:
        is_safetensors = _is_safetensors(path)
    except OSError as error:
        raise UserError(f'{path} cannot be read: {error.strerror}.') from error
    if is_safetensors:
        return _read_safetensors(path)
    if is_torchscript(path):
        return _read_torchscript(path)
    return _read_pickle(path)


def vision_tower_state(state_dict: Mapping[str, Tensor], source: str | Path = 'the weights') -> dict[str, Tensor]:
    """Return the entries of the vision tower, named as in open_clip's ``model.visual``.

    Args:
        state_dict: What :func:`read_clip_state_dict` returned.
        source: What to call the weights in the error message.

    Raises:
        UserError: There is no vision tower in the weights.
    """
    tower = {name.removeprefix('visual.'): value for name, value in state_dict.items() if name.startswith('visual.')}
    if not tower:
        raise UserError(_no_tower_message('vision', 'visual.*', state_dict, source))
    return tower


def text_tower_state(state_dict: Mapping[str, Tensor], source: str | Path = 'the weights') -> dict[str, Tensor]:
    """Return the entries of the text tower, named as in open_clip's ``TextTransformer`` (or its ``model.text``).

    Args:
        state_dict: What :func:`read_clip_state_dict` returned; the tower lies under ``text.`` or inline.
        source: What to call the weights in the error message.

    Raises:
        UserError: There is no text tower in the weights.
    """
    tower = {name.removeprefix('text.'): value for name, value in state_dict.items() if name.startswith('text.')}
    if not tower:
        tower = {name: value for name, value in state_dict.items() if _INLINE_TEXT.match(name)}
    if not tower:
        raise UserError(_no_tower_message('text', 'text.* or token_embedding, transformer.*', state_dict, source))
    return tower


def _is_safetensors(path: Path) -> bool:
    """Return whether the file starts as safetensors do: the length of a JSON header in eight bytes, then that."""
    with path.open('rb') as file:
        start = file.read(9)
    return len(start) == 9 and start[8:] == b'{' and int.from_bytes(start[:8], 'little') < path.stat().st_size


def is_torchscript(path: Path) -> bool:
    """Return whether the file is a TorchScript archive: a zip file with a table of constants beside its data."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith('/constants.pkl') for name in archive.namelist())
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):  # none, or damaged: its reader says so
        return False


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    with _damage_told(path):
        return load_file(path, device='cpu')


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    """Turn what safetensors says of a damaged file into a user's error."""
    try:
        yield
    except SafetensorError as error:
        raise UserError(f'{path} is not a readable safetensors file ({error}).') from error


def _read_torchscript(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', FutureWarning)  # deprecated, but the one way to read OpenAI's files
            return torch.jit.load(str(path), map_location='cpu').state_dict()
    except Exception as error:  # a damaged one ends in whatever its bytes happen to ask of the reader
        raise UserError(f'{path} is a damaged TorchScript archive ({first_line(error)}).') from error


def _read_pickle(path: Path) -> object:
    try:
        with warnings.catch_warnings(), inert_settings(path):
            warnings.simplefilter('ignore', UserWarning)  # remarks on the pickle protocol of foreign files
            return torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r'GLOBAL (\S+)', str(error))
        reason = f'it asks for {ascii(found.group(1)[:100])[1:-1]}' if found else 'it is no checkpoint of PyTorch'
        raise UserError(
            f'{path} is refused: {reason}. Only tensors and plain containers are read (weights_only=True), since '
            'anything else can run code. Give a state dict saved with torch.save, a safetensors file, or a '
            'TorchScript archive of OpenAI.'
        ) from error
    except Exception as error:  # a damaged pickle ends in whatever its bytes happen to ask of the reader
        raise UserError(
            f'{path} ({path.stat().st_size:,} bytes) is damaged or no checkpoint: it is neither safetensors nor a file '
            'of torch.save nor a TorchScript archive.'
        ) from error


def unnest(raw: object, path: Path) -> tuple[Mapping[object, object], str | None]:
    """Find the mapping of names to tensors in what a file holds, and the key it lies under, None at the top.

    Raises:
        UserError: The file holds no mapping.
    """
    if not isinstance(raw, Mapping):
        raise UserError(f'{path} holds a {type(raw).__name__}, not a state dict (names with tensors).')
    nest = None
    for _ in range(_DEPTH):
        key = next((key for key in NESTED_KEYS if isinstance(raw.get(key), Mapping)), None)
        if key is None and not any(isinstance(value, Tensor) for value in raw.values()):
            key = max(raw, key=lambda key: _count_named(raw[key]), default=None)
        if key is None or not isinstance(raw[key], Mapping):
            break
        raw, nest = raw[key], str(key)
    return raw, nest


def _count_named(value: object, depth: int = _DEPTH) -> int:
    """How many tensors with names lie in a value; those of an optimizer have numbers."""
    if not isinstance(value, Mapping) or not depth:
        return 0
    own = sum(isinstance(name, str) and isinstance(entry, Tensor) for name, entry in value.items())
    return own + sum(_count_named(entry, depth - 1) for name, entry in value.items() if isinstance(name, str))


def _clean(weights: object, path: Path) -> dict[str, Tensor]:
    """Unnest, drop whatever is not a weight, name the rest as open_clip does, and convert floats to float32."""
    weights, _ = unnest(weights, path)
    cleaned = {}
    for name, value in weights.items():
        if isinstance(value, Tensor) and name not in OPENAI_META_KEYS:
            cleaned[str(name)] = value.detach().float() if value.is_floating_point() else value.detach()
    if not cleaned:
        raise UserError(f'{path} holds no tensors; its entries are {first_few(weights, 5) or "nothing"}.')
    return {name: value for name, value in to_open_clip(cleaned, path).weights.items() if name not in OPENAI_META_KEYS}


def is_of_text_tower(name: str) -> bool:
    """Return whether an entry of a whole CLIP model belongs to its text side, inline or under ``text.``."""
    inline = name == 'attn_mask' or _INLINE_TEXT.match(name) is not None
    return inline or name.startswith(('text.', 'text_decoder.'))


def _no_tower_message(tower: str, expected: str, state_dict: Mapping[str, Tensor], source: str | Path) -> str:
    found = first_few(state_dict, 5) or 'nothing'
    return f'{source} hold no CLIP {tower} tower (entries named {expected}); found {found}.'
