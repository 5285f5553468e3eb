"""Which CLIP architecture weights belong to, told from their names and shapes."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.model import CLIPTextCfg, CLIPVisionCfg
from torch import Tensor

from textxfer_mm.errors import UserError
from textxfer_mm.models.backbones.towers import Arch, build_vision_tower, with_text_cfg
from textxfer_mm.text.clip_arch import resolve_arch

#: Entries of a vision_cfg that weights can tell. Models with others (attentional pools, timm towers) must be named.
_TOLD_KEYS = {'image_size', 'layers', 'width', 'head_width', 'patch_size', 'mlp_ratio'}

#: Entries of the two kinds of towers that tell their architecture, with their number of dimensions.
_VIT = {'conv1.weight': 4, 'positional_embedding': 2, 'proj': 2, 'transformer.resblocks.0.mlp.c_fc.weight': 2}
_RESNET = {'layer1.0.conv1.weight': 4, 'attnpool.positional_embedding': 2, 'attnpool.c_proj.weight': 2}


@dataclass(frozen=True)
class RecognizedArch:
    """An architecture.

    Attributes:
        arch: What ``CLIPBackbone`` takes: an open_clip model name or a model config.
        image_size: The input size where it is another than the architecture's own.
        text_heads: Heads of its text tower, which are the heads of T-Trans; None where nothing tells.
        others: Names of further architectures whose vision tower has the same shapes.
        quick_gelu: Whether it is built with quick GELU.
    """

    arch: Arch
    image_size: int | None
    text_heads: int | None
    others: tuple[str, ...]
    quick_gelu: bool


def recognize_arch(
    visual: Mapping[str, Tensor], *, quick_gelu: bool | None, text_width: int | None, path: Path
) -> RecognizedArch:
    """Find the architecture of a vision tower.

    Args:
        visual: Its weights, named as in open_clip's ``model.visual``.
        quick_gelu: Whether it was trained with quick GELU; None where the source does not say.
        text_width: The width of the text tower beside it, if any.
        path: The file, for messages.

    Raises:
        UserError: The names or shapes are those of no ViT or ModifiedResNet.
    """
    lacking = _lacking(visual)
    if lacking:
        raise UserError(
            f'{path} does not tell its architecture: {", ".join(lacking)}. With --arch, all misfits are listed.'
        )
    config = _told(visual)
    if config is None:
        raise UserError(
            f'The architecture of {path} cannot be told from its names (neither a ViT with square inputs nor a '
            'ModifiedResNet): give --arch.'
        )
    size = config['vision_cfg']['image_size']
    same = [(name, other) for name, other in _told_models() if _fits(other, config, text_width)]
    if quick_gelu:
        same = [(name, other) for name, other in same if other.get('quick_gelu')]
    exact = [(name, other) for name, other in same if _image_size(other) == size]
    chosen = sorted(
        exact or same, key=lambda entry: (bool(entry[1].get('quick_gelu')) != bool(quick_gelu), len(entry[0]))
    )
    if not chosen:
        config['quick_gelu'] = bool(quick_gelu)
        return RecognizedArch(config, None, text_width and max(text_width // 64, 1), (), bool(quick_gelu))
    name, other = chosen[0]
    return RecognizedArch(
        name,
        None if exact else size,
        _text_heads(other),
        tuple(name for name, _ in chosen[1:]),
        bool(other.get('quick_gelu')),
    )


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
    told = None if _lacking(visual) else _told(visual)
    size = told['vision_cfg']['image_size'] if told else None
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


def _needed(visual: Mapping[str, Tensor]) -> dict[str, int]:
    """The entries that tell an architecture of this kind."""
    if any(name.startswith('transformer.resblocks.') for name in visual):
        return _VIT
    return _RESNET if any(name.startswith('layer1.') for name in visual) else {}


def _lacking(visual: Mapping[str, Tensor]) -> list[str]:
    """Which of the entries that tell the architecture cannot, and why."""
    given = {name: visual.get(name) for name in _needed(visual)}
    missing = [f'visual.{name} missing' for name, value in given.items() if value is None]
    return missing + [
        f'visual.{name} is {tuple(value.shape)}'
        for name, value in given.items()
        if value is not None and (value.ndim != _needed(visual)[name] or not value.numel())
    ]


def _told(visual: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """The model config that the weights of a ViT or ModifiedResNet tell; None for others."""
    needed = _needed(visual)
    if not needed:
        return None
    return _vit_config(visual) if needed is _VIT else _resnet_config(visual)


def _vit_config(visual: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """The model config of a ViT's weights, with 64 channels a head as in CLIP; None where its inputs are no squares."""
    (width, _, patch, _), count = visual['conv1.weight'].shape, len(visual['positional_embedding']) - 1
    side = round(count**0.5)
    if side**2 != count:
        return None
    blocks = {name.split('.')[2] for name in visual if name.startswith('transformer.resblocks.')}
    vision_cfg = dict(
        image_size=side * patch,
        layers=len(blocks),
        width=width,
        head_width=min(64, width),
        patch_size=patch,
    )
    ratio = len(visual['transformer.resblocks.0.mlp.c_fc.weight']) / width
    if ratio != 4:
        vision_cfg['mlp_ratio'] = ratio
    return dict(embed_dim=visual['proj'].shape[1], vision_cfg=vision_cfg)


def _resnet_config(visual: Mapping[str, Tensor]) -> dict[str, Any]:
    """The model config of a ModifiedResNet's weights."""
    side = round((len(visual['attnpool.positional_embedding']) - 1) ** 0.5)
    found = {tuple(map(int, match)) for name in visual for match in re.findall(r'^layer(\d)\.(\d+)\.', name)}
    layers = [sum(stage == number for stage, _ in found) for number in range(1, 5)]
    width = len(visual['layer1.0.conv1.weight'])
    vision_cfg = dict(image_size=32 * side, layers=layers, width=width)
    return dict(embed_dim=len(visual['attnpool.c_proj.weight']), vision_cfg=vision_cfg)
