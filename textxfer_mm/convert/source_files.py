"""Reading the checkpoints of others, and telling whose they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from textxfer_mm.convert import SOURCES
from textxfer_mm.errors import UserError, first_few, nearest
from textxfer_mm.text.clip_files import (
    NESTED_KEYS,
    OPENAI_META_KEYS,
    is_of_text_tower,
    is_torchscript,
    read_weights_file,
)
from textxfer_mm.wrappers import strip_wrappers


@dataclass(frozen=True)
class SourceFile:
    """What a checkpoint holds, in its own dtypes.

    Attributes:
        path: The file.
        weights: Tensors by name, without wrapper prefixes; those of ``fusion_model_state_dict`` as ``fusion_model.*``.
        prefix: The wrapper prefix that every name had, such as ``module.``.
        looks_like: The keys of ``SOURCES`` that such a file can be.
        optimizer: The optimizer's state, where the file has one.
    """

    path: Path
    weights: dict[str, Tensor]
    prefix: str
    looks_like: tuple[str, ...]
    optimizer: object = None


def read_source_file(path: str | Path, source: str) -> SourceFile:
    """Read a checkpoint of others; no code in it runs.

    Args:
        path: The file.
        source: What the user says it is, a key of ``SOURCES``.

    Raises:
        UserError: The file cannot be read, holds no vision tower of CLIP, or is another kind of file.
    """
    if source not in SOURCES:
        raise UserError(f'Unknown source {source!r} of a checkpoint.{nearest(source, SOURCES)}')
    path = Path(path).expanduser()
    raw = read_weights_file(path)
    file = _unpack(raw, path)
    if source not in file.looks_like:
        fitting = ' or '.join(f'--source {name}' for name in file.looks_like)
        looks = ' or '.join(SOURCES[name] for name in file.looks_like)
        raise UserError(f'{path} is no {source} checkpoint: it looks like {looks}. Give {fitting}.')
    return file


def _unpack(raw: object, path: Path) -> SourceFile:
    """Find the weights in what a file holds."""
    if not isinstance(raw, Mapping):
        raise UserError(f'{path} holds a {type(raw).__name__}, not a state dict (names with tensors).')
    nest = next((key for key in NESTED_KEYS if isinstance(raw.get(key), Mapping)), None)
    weights, prefix = strip_wrappers(_tensors(raw[nest] if nest else raw))
    fusion = raw.get('fusion_model_state_dict') if nest else None
    if isinstance(fusion, Mapping):
        weights |= {f'fusion_model.{name}': value for name, value in strip_wrappers(_tensors(fusion))[0].items()}
    _require_vision_tower(weights, path)
    shifted = next((name for name in weights if '.net.' in name), None)
    if shifted is not None:
        raise UserError(
            f"{path} has the temporal shift (tm) of Text4Vis' released code ({shifted}), which has no counterpart here."
        )
    looks_like = _guess(weights, nest=nest, separate_fusion=isinstance(fusion, Mapping), archive=is_torchscript(path))
    for name in OPENAI_META_KEYS:
        weights.pop(name, None)
    return SourceFile(path, weights, prefix, looks_like, raw.get('optimizer_state_dict') if nest else None)


def _tensors(entries: Mapping[str, object]) -> dict[str, Tensor]:
    return {str(name): value.detach() for name, value in entries.items() if isinstance(value, Tensor)}


def _require_vision_tower(weights: Mapping[str, Tensor], path: Path) -> None:
    """Refuse what has no ``visual.*``, and say what it is where that is known."""
    if any(name.startswith('visual.') for name in weights):
        return
    if any(name.startswith(('backbone.', 'cls_head.')) for name in weights):
        raise UserError(f"{path} is a checkpoint of a recognizer already; --reverse brings one to the authors' layout.")
    if any(name.startswith(('vision_model.', 'text_model.')) for name in weights):
        raise UserError(
            f'{path} has the names of Hugging Face transformers; give the open_clip or OpenAI file of the model.'
        )
    found = first_few(weights, 5) or 'no tensors'
    raise UserError(f'{path} holds no vision tower of CLIP (visual.*); found {found}.')


def _guess(weights: Mapping[str, Tensor], *, nest: str | None, separate_fusion: bool, archive: bool) -> tuple[str, ...]:
    """Which sources write such files."""
    has_text = any(is_of_text_tower(name) for name in weights)
    if separate_fusion:
        return ('actionclip',) if has_text else ('text4vis',)
    if any(name.startswith('fusion_model.') or '.control_point.' in name for name in weights):
        return ('text4vis',)
    if archive:
        return ('openai',)
    if any(name.startswith(('text.', 'text_decoder.', 'visual.trunk.')) for name in weights):
        return ('open_clip',)
    if not has_text:
        return ('text4vis',)
    if nest == 'model_state_dict':
        return ('actionclip', 'text4vis')  # without a temporal module, both save what they fine-tuned like this
    if any(name in weights for name in OPENAI_META_KEYS):
        return ('openai',)
    return ('openai', 'open_clip')
