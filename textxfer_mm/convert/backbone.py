"""The visual backbone of a checkpoint alone, under the names that detectors, segmentors and Video Swin load."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from textxfer_mm.convert.conversion import refuse_same_file
from textxfer_mm.engine.checkpoint import load_checkpoint_file, state_of, write_checkpoint
from textxfer_mm.errors import UserError, nearest
from textxfer_mm.files import require_writable_file

#: ``openmmlab``: ``backbone.*`` under ``state_dict``. ``swin``: the names of Swin's released files, under ``model``.
LAYOUTS = ('openmmlab', 'swin')
_BACKBONE = 'backbone.'
#: Parts of a Swin of OpenMMLab, and what they are called in Swin's released files.
_RENAMED = (
    ('patch_embed.projection.', 'patch_embed.proj.'),
    ('stages.', 'layers.'),
    ('.attn.w_msa.', '.attn.'),
    ('.ffn.layers.0.0.', '.mlp.fc1.'),
    ('.ffn.layers.1.', '.mlp.fc2.'),
    ('norm3.', 'norm.'),
)
#: Made anew by whoever loads the weights.
_INDEX = 'relative_position_index'
#: The four neighbours that are merged: OpenMMLab's order in terms of the released one, and the other way round.
_ORDER = [0, 2, 1, 3]


def export_backbone(src: str | Path, dst: str | Path, *, layout: str = 'openmmlab') -> list[str]:
    """Write the backbone of a checkpoint without its head and text tower.

    MMDetection's and MMSegmentation's ``SwinTransformer`` has the parameters of MMPretrain's under the same names:
    ``backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=DST))``, with ``convert_weights=False``. MMAction2's
    ``SwinTransformer3D`` inflates Swin's released layout: ``pretrained=DST``, ``pretrained2d=True``.

    Args:
        src: A checkpoint of an image classifier or a recognizer.
        dst: The file to write, in one piece.
        layout: One of :data:`LAYOUTS`.

    Returns:
        The names of what was written.

    Raises:
        UserError: The layout is unknown, there is no backbone, or it is none of Swin where that is asked for.
    """
    if layout not in LAYOUTS:
        raise UserError(f'Unknown layout {layout!r}.{nearest(layout, LAYOUTS)}')
    target = require_writable_file(dst, 'DST')
    refuse_same_file(src, target)
    state = state_of(load_checkpoint_file(src), src)
    own = {name: value for name, value in state.items() if name.startswith(_BACKBONE) and _INDEX not in name}
    if not own:
        raise UserError(f'{src} has no backbone: none of its {len(state)} entries begins with {_BACKBONE}')
    if layout == 'swin':
        own = _as_released(own, src)
    write_checkpoint(target, {'model' if layout == 'swin' else 'state_dict': own})
    return list(own)


def _as_released(state: Mapping[str, Any], src: str | Path) -> dict[str, Tensor]:
    """A Swin of OpenMMLab as its authors name it, with the neighbours that are merged in their order."""
    bare = {name.removeprefix(_BACKBONE): value for name, value in state.items()}
    if 'stages.0.blocks.0.attn.w_msa.qkv.weight' not in bare or 'norm3.weight' not in bare:
        raise UserError(
            f'{src}: layout swin is of a SwinTransformer of MMPretrain with the norm of its last stage; this backbone '
            'is another. Give --layout openmmlab.'
        )
    found = {}
    for name, value in bare.items():
        for ours, theirs in _RENAMED:
            name = name.replace(ours, theirs, 1) if ours.startswith('.') or name.startswith(ours) else name
        found[name] = _merged(value).clone() if '.downsample.' in name else value
    return found


def _merged(value: Tensor) -> Tensor:
    """The last axis (C*4), which ``nn.Unfold`` lays out channel by channel, neighbour by neighbour (4*C)."""
    by_channel = value.unflatten(-1, (-1, 4)).transpose(-1, -2)  # (..., 4, C)
    return by_channel[..., torch.tensor(_ORDER), :].flatten(-2)
