"""The model config that the weights of a vision tower tell."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from textxfer_mm.convert.dimensions import TOLD_BY, count_blocks, dimensions, kind_of
from textxfer_mm.errors import UserError


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


def told_configs(visual: Mapping[str, Tensor], beside: Mapping[str, Tensor], path: Path) -> list[dict[str, Any]]:
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
        ratio = hidden / width
        vision_cfg['mlp_ratio'] = ratio if int(width * ratio) == hidden else math.nextafter(ratio, math.inf)
    return vision_cfg


def even_votes(visual: Mapping[str, Tensor], beside: Mapping[str, Tensor]) -> str:
    """Say which tensors disagree on the width of the features where none has more on its side."""
    ours = _shown(visual, TOLD_BY[kind_of(visual)]['D'])
    text = next((name for name in beside if name.endswith('text_projection')), None)
    return f'{ours}, but {text} is {tuple(beside[text].shape)}' if text else f'{ours}, but others have another width'
