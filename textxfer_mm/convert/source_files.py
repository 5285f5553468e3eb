"""Reading the checkpoints of others, and telling whose they are."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from textxfer_mm.convert import SOURCES
from textxfer_mm.convert.hf_settings import HFSettings, read_hf_settings
from textxfer_mm.errors import UserError, first_few, nearest
from textxfer_mm.text.clip_files import (
    OPENAI_META_KEYS,
    is_of_text_tower,
    is_torchscript,
    read_weights_file,
    unnest,
)
from textxfer_mm.text.clip_layouts import HUGGING_FACE, VIFI_CLIP, Layout, to_open_clip
from textxfer_mm.wrappers import strip_wrappers

_FUSION = 'fusion_model.'
_SCALE = 'logit_scale'
_STRAY = re.compile(r'(?:^|\.)(fusion_model\..+|logit_scale)$')
#: A CLIPVisionModel as transformers 5 holds it: no ``vision_model.`` before its names, one of which it misspells.
_BARE_TOWER = re.compile(r'(?:^|\.)pre_layrnorm\.weight$')
#: What no CLIP has.
_MULTITRAIN = re.compile(r'(?:^|\.)pos_embed_spatial$')
_OURS = re.compile(r'(?:^|\.)cls_head\.')


@dataclass(frozen=True)
class SourceFile:
    """What a checkpoint holds, in its own dtypes.

    Attributes:
        path: The file.
        weights: Tensors by name, as open_clip names them; those of ``fusion_model_state_dict`` as ``fusion_model.*``.
        prefix: The prefix that every name had, such as ``module.`` or Lightning's ``model.``.
        looks_like: The keys of ``SOURCES`` that such a file can be.
        optimizer: The optimizer's state, where the file has one.
        beside: Names of entries outside the model.
        original: What the file calls the entries that have other names here.
        settings: What the ``config.json`` beside a file of Hugging Face says.
    """

    path: Path
    weights: dict[str, Tensor]
    prefix: str
    looks_like: tuple[str, ...]
    optimizer: object = None
    beside: list[str] = field(default_factory=list)
    original: dict[str, str] = field(default_factory=dict)
    settings: HFSettings = field(default_factory=HFSettings)


def read_source_file(path: str | Path, source: str) -> SourceFile:
    """Read a checkpoint of others; no code in it runs.

    Args:
        path: The file.
        source: What the user says it is, a key of ``SOURCES`` other than ``'multitrain'``.

    Raises:
        UserError: The file cannot be read, holds no vision tower of CLIP, or is another kind of file.
    """
    if source == 'multitrain':
        raise UserError('Checkpoints of multitrain are read by textxfer_mm.convert.multitrain.convert_multitrain.')
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
    entries, nest = unnest(raw, path)
    tensors = _tensors(entries)
    _refuse_others(tensors, path)
    layout = to_open_clip(tensors, path)
    _refuse_values(entries, layout, path)
    _require_vision_tower(layout, path)
    weights, beside = _with_strays(layout)
    fusion = raw.get('fusion_model_state_dict') if nest else None
    if isinstance(fusion, Mapping):
        weights |= {_FUSION + name: value for name, value in strip_wrappers(_tensors(fusion))[0].items()}
    shifted = next((name for name in weights if '.net.' in name), None)
    if shifted is not None:
        raise UserError(
            f"{path} has the temporal shift (tm) of Text4Vis' released code ({shifted}), which has no counterpart here."
        )
    archive, apart = is_torchscript(path), isinstance(fusion, Mapping)
    looks_like = _guess(weights, layout=layout.name, nest=nest, separate_fusion=apart, archive=archive)
    for name in OPENAI_META_KEYS:
        weights.pop(name, None)
    settings = read_hf_settings(path) if layout.name == HUGGING_FACE else HFSettings()
    optimizer = raw.get('optimizer_state_dict') if nest else None
    return SourceFile(path, weights, layout.prefix, looks_like, optimizer, beside, layout.original, settings)


def _tensors(entries: Mapping[object, object]) -> dict[str, Tensor]:
    return {str(name): value.detach() for name, value in entries.items() if isinstance(value, Tensor)}


def _with_strays(layout: Layout) -> tuple[dict[str, Tensor], list[str]]:
    """The weights, with what belongs to the model and stands beside its prefix: T-Trans and the scale."""
    weights, beside = dict(layout.weights), []
    for name, value in layout.outside.items():
        stray = _STRAY.search(name)
        if stray and stray.group(1) not in weights:
            weights[stray.group(1)] = value
        else:
            beside.append(name)
    return weights, beside


def _refuse_others(weights: Mapping[str, Tensor], path: Path) -> None:
    if any(_OURS.search(name) for name in weights):
        raise UserError(f"{path} is a checkpoint of a recognizer already; --reverse brings one to the authors' layout.")
    if any(_MULTITRAIN.search(name) for name in weights):
        raise UserError(f'{path} looks like {SOURCES["multitrain"]}. Give --source multitrain.')


def _refuse_values(entries: Mapping[object, object], layout: Layout, path: Path) -> None:
    """Refuse what stands where the model's tensors are expected and is none."""
    starts = ('visual.', _FUSION, _SCALE, 'vision_model.', 'visual_projection.', 'image_encoder.')
    for name, value in entries.items():
        inside = str(name).removeprefix(layout.prefix)
        if not isinstance(value, Tensor) and not isinstance(value, Mapping) and inside.startswith(starts):
            raise UserError(f'{path}: {name} is a {type(value).__name__}, not a tensor. Give the weights themselves.')


def _require_vision_tower(layout: Layout, path: Path) -> None:
    """Refuse what has no ``visual.*`` with a projection, and say what it is where that is known."""
    weights = layout.weights
    has_tower = any(name.startswith('visual.') for name in weights)
    bare = not has_tower and any(_BARE_TOWER.search(name) for name in weights)
    if not has_tower and not bare:
        found = first_few(weights, 5) or 'no tensors'
        raise UserError(f'{path} holds no vision tower of CLIP (visual.*); found {found}.')
    if bare or (layout.name == HUGGING_FACE and 'visual.proj' not in weights):
        raise UserError(
            f'{path} is a CLIPVisionModel of Hugging Face: without visual_projection.weight, its features are not in '
            'the space of the text. Give the CLIPModel or the CLIPVisionModelWithProjection that it was taken from.'
        )


def _guess(
    weights: Mapping[str, Tensor], *, layout: str, nest: str | None, separate_fusion: bool, archive: bool
) -> tuple[str, ...]:
    """Which sources write such files."""
    if layout in (HUGGING_FACE, VIFI_CLIP):
        return (layout,)
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
