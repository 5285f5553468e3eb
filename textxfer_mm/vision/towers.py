"""Vision towers of open_clip: building them alone, and telling their parts apart."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import timm
from open_clip.model import CLIPVisionCfg, _build_vision_tower
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from timm.layers import to_2tuple
from timm.models import group_parameters
from torch import nn

from textxfer_mm.errors import UserError, first_line, nearest
from textxfer_mm.layers.depthwise import with_fast_depthwise
from textxfer_mm.text.clip_arch import resolve_arch

#: An open_clip model name or model config.
Arch = str | Mapping[str, Any]

#: Height and width, or one number for both.
Size = int | tuple[int, int]


def with_text_cfg(arch: Arch) -> Arch:
    """Return an architecture with the ``text_cfg`` that functions of both towers expect; a model config may lack it."""
    return {'text_cfg': {}, **arch} if isinstance(arch, Mapping) else arch


def build_vision_tower(arch: Arch, image_size: Size | None = None) -> tuple[str, int, nn.Module]:
    """Build the vision tower of a CLIP model, randomly initialised, without the text tower.

    Args:
        arch: An open_clip model name or model config.
        image_size: The input size, if it is not the architecture's.

    Returns:
        The name of the architecture, the width D of its output, and the tower.

    Raises:
        UserError: The architecture or one of its options is unknown, or it cannot take the size.
    """
    name, config = resolve_arch(with_text_cfg(arch))
    options = {**config['vision_cfg'], 'output_tokens': False, 'timm_model_pretrained': False}
    known = [field.name for field in fields(CLIPVisionCfg)]
    for option in options:
        if option not in known:
            raise UserError(f'Unknown option {option!r} in vision_cfg of {name}.{nearest(option, known)}')
    timm_name = options.get('timm_model_name')
    if timm_name and not timm.is_model(timm_name):
        raise UserError(f'timm has no model {timm_name!r}.{nearest(timm_name, timm.list_models())}')
    if timm_name and '.' in timm_name and timm_name not in (known := _timm_weights(timm_name)):
        raise UserError(f'timm has no weights {timm_name!r}.{nearest(timm_name, known)}')
    if image_size is not None and not timm_name:
        options['image_size'] = _checked_size(name, options, image_size)
    try:
        tower = _build_vision_tower(config['embed_dim'], CLIPVisionCfg(**options), config.get('quick_gelu', False))
    except Exception as error:  # whatever its parts make of a value that is none
        raise UserError(f'open_clip cannot build the vision_cfg of {name}: {first_line(error)}.') from error
    if image_size is not None and timm_name:
        _set_input_size(tower, tuple(to_2tuple(image_size)))
    if timm_name and options.get('timm_proj') == 'none' and tower.trunk.head_hidden_size != config['embed_dim']:
        raise UserError(
            f"{timm_name} without projection (timm_proj='none') gives features of width {tower.trunk.head_hidden_size}"
            f', but the model config says embed_dim={config["embed_dim"]}.'
        )
    return name, config['embed_dim'], with_fast_depthwise(tower)


def fixed_input_size(tower: nn.Module) -> tuple[int, int] | None:
    """Return the only (H, W) that the tower takes, or None if it takes others or checks for itself (timm)."""
    if isinstance(tower, ModifiedResNet):
        return (tower.image_size, tower.image_size)
    return tuple(tower.image_size) if isinstance(tower, VisionTransformer) else None


def is_convolutional(tower: nn.Module) -> bool:
    """Return whether the tower works on feature maps (ResNet, EfficientNet, ConvNeXt, ...) and not on patch tokens."""
    return isinstance(tower, ModifiedResNet) or (
        isinstance(tower, TimmModel) and not hasattr(tower.trunk, 'patch_embed')
    )


def conv_stages(tower: nn.Module) -> list[nn.Sequential] | None:
    """Return the stages of a ModifiedResNet or of a timm CNN with ``.blocks``, each a sequence of blocks; else None."""
    if isinstance(tower, ModifiedResNet):
        return [tower.layer1, tower.layer2, tower.layer3, tower.layer4]
    if isinstance(tower, TimmModel) and is_convolutional(tower) and isinstance(_blocks(tower.trunk), nn.Sequential):
        return list(tower.trunk.blocks)
    return None


def freezable_groups(tower: nn.Module) -> list[list[nn.Parameter]]:
    """Return the parameters of the stem, then of each block (transformers) or stage (CNNs), in order.

    What follows the last block (norm, pooling, projection) is in no group, except where timm makes it part of a stage.
    """
    if isinstance(tower, VisionTransformer):
        stem = [tower.class_embedding, tower.positional_embedding]
        stem += [*tower.conv1.parameters(), *tower.ln_pre.parameters()]
        return [stem, *(list(block.parameters()) for block in tower.transformer.resblocks)]
    if isinstance(tower, ModifiedResNet):
        modules = (tower.conv1, tower.bn1, tower.conv2, tower.bn2, tower.conv3, tower.bn3)
        stem = [parameter for module in modules for parameter in module.parameters()]
    else:
        trunk = tower.trunk
        if conv_stages(tower) is None:
            names = group_parameters(trunk, trunk.group_matcher(coarse=True))
            return [[trunk.get_parameter(name) for name in names[i]] for i in sorted(names)]
        stem = [*trunk.conv_stem.parameters(), *trunk.bn1.parameters()]
    return [stem, *(list(stage.parameters()) for stage in conv_stages(tower))]


def _set_input_size(tower: TimmModel, size: tuple[int, int]) -> None:
    """Like its own method, which sets up the root logger where a CNN takes any size: each line would appear twice."""
    tower.image_size = size
    if hasattr(tower.trunk, 'set_input_size'):
        tower.trunk.set_input_size(size)


def _timm_weights(timm_name: str) -> list[str]:
    """Return the names ``model.tag`` of the weights that timm has for a model."""
    return list(timm.models.get_arch_pretrained_cfgs(timm_name.partition('.')[0]))


def _blocks(trunk: nn.Module) -> nn.Module | None:
    """Return the blocks of the EfficientNet family, whose stem is ``conv_stem`` and ``bn1``."""
    return trunk.blocks if hasattr(trunk, 'conv_stem') and hasattr(trunk, 'bn1') else None


def _checked_size(name: str, options: Mapping[str, Any], image_size: Size) -> Size:
    """Refuse sizes that a ViT or a ModifiedResNet would silently crop, or for which it could not be built."""
    size = tuple(to_2tuple(image_size))
    is_resnet = isinstance(options.get('layers'), (list, tuple))
    unit = to_2tuple(32 if is_resnet else options.get('patch_size', CLIPVisionCfg.patch_size))
    if len(size) != 2 or any(side <= 0 for side in size):
        raise UserError(f'image_size={image_size!r} is neither a number of pixels nor a pair (height, width).')
    if is_resnet and size[0] != size[1]:
        raise UserError(f'{name} takes square frames only, not image_size={image_size}.')
    if size[0] % unit[0] or size[1] % unit[1]:
        raise UserError(f'image_size={image_size} of {name} must be a multiple of {unit[0]} x {unit[1]} pixels.')
    return size[0] if is_resnet else size
