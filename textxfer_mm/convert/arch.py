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

from textxfer_mm.convert.dimensions import TOLD_BY, count_blocks, dimensions, kind_of
from textxfer_mm.convert.hf_settings import HFSettings
from textxfer_mm.errors import UserError
from textxfer_mm.models.backbones.towers import Arch, build_vision_tower, with_text_cfg
from textxfer_mm.text.clip_arch import resolve_arch

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
    """

    arch: Arch
    image_size: int | None
    text_heads: int | None
    others: tuple[str, ...]
    quick_gelu: bool
    assumed_heads: int | None = None


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
    configs, settings = _told(visual, beside or {}, path), settings or HFSettings()
    for config in configs:
        if settings.vision_heads and kind_of(visual) == 'vit':
            config['vision_cfg']['head_width'] = config['vision_cfg']['width'] // settings.vision_heads
        chosen, exact = _fitting_models(config, quick_gelu, text_width, settings.vision_heads)
        if chosen:
            name, other = chosen[0]
            size = None if exact else config['vision_cfg']['image_size']
            others = tuple(name for name, _ in chosen[1:])
            text_heads = settings.text_heads or _text_heads(other)
            return RecognizedArch(name, size, text_heads, others, bool(other.get('quick_gelu')))
    config = dict(configs[0], quick_gelu=bool(quick_gelu))
    text_heads = settings.text_heads or (text_width and max(text_width // 64, 1))
    return RecognizedArch(
        config, None, text_heads, (), bool(quick_gelu), None if settings.vision_heads else _vision_heads(config)
    )


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
    mine, other = told['vision_cfg'], model['vision_cfg']
    same = model['embed_dim'] == told['embed_dim'] and _layers(other) == _layers(mine)
    same = same and other['width'] == mine['width'] and other.get('patch_size') == mine.get('patch_size')
    mlp = [int(cfg['width'] * cfg.get('mlp_ratio', 4)) for cfg in (other, mine)]
    text = model['text_cfg'].get('width', CLIPTextCfg.width)
    return same and mlp[0] == mlp[1] and text_width in (None, text)


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


def told_image_size(visual: Mapping[str, Tensor]) -> int | None:
    """The input size of a ViT or ModifiedResNet, where its positions tell one."""
    kind = kind_of(visual)
    told = dimensions(_named(visual), kind) if kind else {}
    side = _side(told['S'][0]) if 'S' in told else None
    if side is None or (kind == 'vit' and 'P' not in told):
        return None
    return side * (told['P'][0] if kind == 'vit' else 32)


def _named(visual: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f'visual.{name}': value for name, value in visual.items()}


def _side(positions: int) -> int | None:
    """The side of a square of patches with a class token; None where they make no square."""
    side = round(max(positions - 1, 0) ** 0.5)
    return side if side and side**2 == positions - 1 else None


def _told(visual: Mapping[str, Tensor], beside: Mapping[str, Tensor], path: Path) -> list[dict[str, Any]]:
    """The model config that the weights of a ViT or ModifiedResNet tell; several where D is told evenly."""
    kind = kind_of(visual)
    if kind is None:
        raise UserError(
            f'The architecture of {path} cannot be told from its names (neither a ViT with square inputs nor a '
            'ModifiedResNet): give --arch.'
        )
    told = dimensions(_named(visual) | dict(beside), kind)
    lacking = [_shown(visual, name) for symbol, name in TOLD_BY[kind].items() if symbol not in told]
    if 'S' in told and _side(told['S'][0]) is None:
        lacking.append(f'{_shown(visual, TOLD_BY[kind]["S"])}, not one position and those of a square')
    if lacking:
        raise UserError(
            f'{path} does not tell its architecture: {", ".join(lacking)}. With --arch, all misfits are listed.'
        )
    width, side = told['W'][0], _side(told['S'][0])
    if kind == 'vit':
        vision_cfg = _vit_config(visual, told, width, side)
    else:
        layers = [count_blocks(visual, f'layer{number}.') for number in range(1, 5)]
        vision_cfg = dict(image_size=32 * side, layers=layers, width=width)
    return [dict(embed_dim=embed_dims, vision_cfg=dict(vision_cfg)) for embed_dims in told['D']]


def _shown(visual: Mapping[str, Tensor], name: str) -> str:
    return f'visual.{name} is {tuple(visual[name].shape)}' if name in visual else f'visual.{name} missing'


def _vit_config(visual: Mapping[str, Tensor], told: Mapping[str, list[int]], width: int, side: int) -> dict[str, Any]:
    """The vision_cfg of a ViT, with 64 channels a head as in CLIP, or as near to that as its width allows."""
    patch, hidden = told['P'][0], told.get('M', [4 * width])[0]
    heads = next(heads for heads in range(max(width // 64, 1), 0, -1) if not width % heads)
    vision_cfg = dict(
        image_size=side * patch,
        layers=count_blocks(visual, 'transformer.resblocks.'),
        width=width,
        head_width=width // heads,
        patch_size=patch,
    )
    if hidden != 4 * width:
        vision_cfg['mlp_ratio'] = hidden / width
    return vision_cfg
