"""Which CLIP architecture weights belong to, told from their names and shapes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.model import CLIPTextCfg, CLIPVisionCfg
from torch import Tensor

from textxfer_mm.convert.dimensions import kind_of
from textxfer_mm.convert.hf_settings import HFSettings
from textxfer_mm.convert.told import even_votes, told_configs, told_image_size
from textxfer_mm.errors import UserError
from textxfer_mm.text.clip_arch import resolve_arch
from textxfer_mm.vision.towers import Arch, build_vision_tower, with_text_cfg

#: Entries of a vision_cfg that weights can tell. Models with others (attentional pools, timm towers) must be named.
_TOLD_KEYS = {'image_size', 'layers', 'width', 'head_width', 'patch_size', 'mlp_ratio'}


@dataclass(frozen=True)
class RecognizedArch:
    """An architecture.

    Attributes:
        arch: What ``CLIPBackbone`` takes: an open_clip model name or a model config.
        image_size: The input size where it is another than the architecture's own.
        text_heads: Heads of its text tower, which are the heads of T-Trans; None where nothing tells.
        others: Names of further architectures whose vision tower has the same shapes.
        quick_gelu: Whether it is built with quick GELU.
        assumed_heads: Heads of the vision tower where nothing tells them: those of 64 channels each; else None.
        nearest: For an architecture without a name, the named one that differs from it in one thing, and this thing.
    """

    arch: Arch
    image_size: int | None
    text_heads: int | None
    others: tuple[str, ...]
    quick_gelu: bool
    assumed_heads: int | None = None
    nearest: str = ''


def recognize_arch(
    visual: Mapping[str, Tensor],
    *,
    quick_gelu: bool | None,
    text_width: int | None,
    path: Path,
    beside: Mapping[str, Tensor] | None = None,
    settings: HFSettings | None = None,
) -> RecognizedArch:
    """Find the architecture of a vision tower: that of most of its tensors, where they disagree.

    Args:
        visual: Its weights, named as in open_clip's ``model.visual``.
        quick_gelu: Whether it was trained with quick GELU; None where the source does not say.
        text_width: The width of the text tower beside it, if any.
        path: The file, for messages.
        beside: The other weights of the model, which tell the width of the features too.
        settings: What the ``config.json`` beside the file says.

    Raises:
        UserError: The names or shapes are those of no ViT or ModifiedResNet.
    """
    configs, settings = told_configs(visual, beside or {}, path), settings or HFSettings()
    for config in configs:
        if settings.vision_heads and kind_of(visual) == 'vit':
            config['vision_cfg']['head_width'] = _head_width(config['vision_cfg']['width'], settings.vision_heads, path)
        chosen, exact = _fitting_models(config, quick_gelu, text_width, settings.vision_heads)
        if chosen:
            name, other = chosen[0]
            size = None if exact else config['vision_cfg']['image_size']
            others = tuple(name for name, _ in chosen[1:])
            text_heads = settings.text_heads or _text_heads(other)
            return RecognizedArch(name, size, text_heads, others, bool(other.get('quick_gelu')))
    if len(configs) > 1:
        raise UserError(f'{path} does not fit together: {even_votes(visual, beside or {})}. Find out which is wrong.')
    config = dict(configs[0], quick_gelu=bool(quick_gelu))
    text_heads = settings.text_heads or (text_width and max(text_width // 64, 1))
    assumed = None if settings.vision_heads else _vision_heads(config)
    return RecognizedArch(config, None, text_heads, (), bool(quick_gelu), assumed, _nearest_model(config))


def _fitting_models(
    config: Mapping[str, Any], quick_gelu: bool | None, text_width: int | None, heads: int | None
) -> tuple[list[tuple[str, dict[str, Any]]], bool]:
    """open_clip's models with this vision tower, the most likely first, and whether they have its input size."""
    size = config['vision_cfg']['image_size']
    same = [(name, other) for name, other in _told_models() if _fits(other, config, text_width)]
    if quick_gelu:
        same = [(name, other) for name, other in same if other.get('quick_gelu')]
    if heads:
        same = [(name, other) for name, other in same if _vision_heads(other) in (None, heads)]
    exact = [(name, other) for name, other in same if _image_size(other) == size]
    chosen = sorted(
        exact or same, key=lambda entry: (bool(entry[1].get('quick_gelu')) != bool(quick_gelu), len(entry[0]))
    )
    return chosen, bool(exact)


def named_arch(given: str, visual: Mapping[str, Tensor], *, quick_gelu: bool | None) -> RecognizedArch:
    """Resolve ``--arch``: an open_clip model name, in OpenAI's spelling too, or a JSON file with a model config.

    Where the source is known to use quick GELU, a name without it stands for its quick-GELU variant.

    Raises:
        UserError: The name is unknown, or the file holds no model config.
    """
    arch: Arch = given
    if given.endswith('.json'):
        try:
            arch = with_text_cfg(json.loads(Path(given).expanduser().read_text(encoding='utf-8')))
        except (OSError, ValueError) as error:
            raise UserError(f'--arch {given} cannot be read as JSON: {error}') from error
    elif quick_gelu and f'{resolve_arch(given)[0]}-quickgelu' in open_clip.list_models():
        arch = f'{resolve_arch(given)[0]}-quickgelu'
    name, config = resolve_arch(arch)
    size = told_image_size(visual)
    return RecognizedArch(
        name if isinstance(arch, str) else arch,
        size if size and size != _image_size(config) and 'timm_model_name' not in config['vision_cfg'] else None,
        _text_heads(config) if config.get('text_cfg') else None,
        (),
        bool(config.get('quick_gelu')),
    )


def expected_shapes(arch: Arch, image_size: int | None) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of the state of a vision tower, without allocating it.

    Raises:
        UserError: The architecture does not take the size.
    """
    with torch.device('meta'):
        _, _, tower = build_vision_tower(arch, image_size)
    return {name: tuple(value.shape) for name, value in tower.state_dict().items()}


def embed_dim(arch: Arch) -> int:
    """The width D of the features of an architecture."""
    return resolve_arch(with_text_cfg(arch))[1]['embed_dim']


def _told_models() -> Sequence[tuple[str, dict[str, Any]]]:
    """open_clip's models whose vision tower is told by its weights alone, and whose text tower is CLIP's."""
    models = ((name, open_clip.get_model_config(name)) for name in open_clip.list_models())
    return [
        (name, config)
        for name, config in models
        if config and set(config['vision_cfg']) <= _TOLD_KEYS and 'hf_model_name' not in config['text_cfg']
    ]


def _fits(model: Mapping[str, Any], told: Mapping[str, Any], text_width: int | None) -> bool:
    """Whether a model has what was told, the input size aside."""
    text = model['text_cfg'].get('width', CLIPTextCfg.width)
    return _entries(model) == _entries(told) and text_width in (None, text)


def _nearest_model(config: Mapping[str, Any]) -> str:
    """The model that has all but one entry of a config, and this entry of it; an empty text where there is none."""
    mine = _entries(config)
    for name, other in _told_models():
        entries = _entries(other)
        differing = [f'{key}={value}' for key, value in entries.items() if value != mine[key]]
        if len(differing) == 1:
            return f'{name}, with {differing[0]}'
    return ''


def _entries(config: Mapping[str, Any]) -> dict[str, Any]:
    """What makes the shapes of a vision tower, its input size aside."""
    cfg = config['vision_cfg']
    mlp_width = int(cfg['width'] * cfg.get('mlp_ratio', CLIPVisionCfg.mlp_ratio))  # rounded, as the models are
    return dict(
        embed_dim=config['embed_dim'],
        layers=_layers(cfg),
        width=cfg['width'],
        patch_size=cfg.get('patch_size'),
        mlp_width=mlp_width,
    )


def _head_width(width: int, heads: int, path: Path) -> int:
    if width % heads:
        raise UserError(f'The config.json beside {path} says {heads} heads, which the width {width} is no multiple of.')
    return width // heads


def _layers(vision_cfg: Mapping[str, Any]) -> int | tuple[int, ...]:
    layers = vision_cfg.get('layers', CLIPVisionCfg.layers)
    return layers if isinstance(layers, int) else tuple(layers)


def _image_size(config: Mapping[str, Any]) -> int:
    return config['vision_cfg'].get('image_size', CLIPVisionCfg.image_size)


def _text_heads(config: Mapping[str, Any]) -> int:
    return config['text_cfg'].get('heads', CLIPTextCfg.heads)


def _vision_heads(config: Mapping[str, Any]) -> int | None:
    """Attention heads of a ViT; None for a ModifiedResNet."""
    vision_cfg = config['vision_cfg']
    if not isinstance(_layers(vision_cfg), int):
        return None
    return vision_cfg['width'] // vision_cfg.get('head_width', CLIPVisionCfg.head_width)
