"""Resizing of position embeddings to another input size."""

from collections.abc import Mapping
from typing import Any

import torch
from open_clip.modified_resnet import ModifiedResNet
from open_clip.transformer import VisionTransformer
from timm.layers import resample_abs_pos_embed
from torch import Tensor, nn

from textxfer_mm.errors import UserError

_NAMES = ('positional_embedding', 'attnpool.positional_embedding', 'trunk.pos_embed')

#: The buffer with the rows and columns of positions that do not form a square.
GRID = 'position_grid'


def keep_grid(tower: nn.Module) -> None:
    """Make a tower whose positions do not form a square record their grid in its state.

    The number of positions does not distinguish a grid from its transpose, or a wide grid from a square one. Towers
    with square grids keep the state of open_clip, entry by entry, and ignore the buffer of a checkpoint whose grid was
    not square.
    """
    name = _position_name(tower)
    if name is None:
        return
    rows, columns = _grid(tower)
    if rows != columns:
        tower.register_buffer(GRID, torch.tensor([rows, columns]))
    else:
        tower.register_load_state_dict_pre_hook(_pass_over_grid)


def resize_positions(state: Mapping[str, Tensor], tower: nn.Module) -> dict[str, Tensor]:
    """Resize the position embeddings of a state dict to the grid of the tower (bicubic, antialiased).

    The grid they come from is the one recorded in the state (see :func:`keep_grid`), or else a square. Entries of
    another width are left for the loader to refuse.

    Args:
        state: Weights of a vision tower, named as in the tower.
        tower: The tower they are meant for.

    Returns:
        A copy of ``state`` in which the embeddings fit.

    Raises:
        UserError: They must be resized but do not form a square.
    """
    resized = dict(state)
    source = resized.pop(GRID, None)
    if hasattr(tower, GRID):
        resized[GRID] = getattr(tower, GRID)
    name = _position_name(tower)
    if name is None or name not in state:
        return resized
    own = tower.get_parameter(name)
    grid = _grid(tower)
    old, new = (tensor.reshape(-1, tensor.shape[-1]) for tensor in (state[name], own))  # (L, D)
    prefix = len(new) - grid[0] * grid[1]  # class token, or the mean token of the attention pool
    count = len(old) - prefix
    if old.shape[1] != new.shape[1] or count <= 0:
        return resized
    side = round(count**0.5)
    old_grid = (side, side) if source is None else tuple(source.tolist())
    if old_grid[0] * old_grid[1] != count:
        if len(old) == len(new):  # a checkpoint for this number of positions, and nothing says that they lie otherwise
            return resized
        raise UserError(
            f'The {count} position embeddings ({name}) of these weights form no square, and nothing in them says how '
            f'they lie, so they cannot be resized to {grid[0]} x {grid[1]}; give CLIPBackbone the image_size that they '
            'were trained with.'
        )
    if old_grid != grid:
        positions = resample_abs_pos_embed(old[None].float(), grid, old_grid, num_prefix_tokens=prefix)
        resized[name] = positions.reshape(own.shape)
    return resized


def _pass_over_grid(tower: nn.Module, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
    """Drop the entry that a tower with a square grid has no use for; its positions are already resized."""
    state_dict.pop(prefix + GRID, None)


def _position_name(tower: nn.Module) -> str | None:
    """Return the name of the position embeddings, if the tower has any that lie on a grid."""
    own = dict(tower.named_parameters())
    return next((name for name in _NAMES if name in own and _grid(tower) is not None), None)


def _grid(tower: nn.Module) -> tuple[int, int] | None:
    """Return the rows and columns of position embeddings."""
    if isinstance(tower, VisionTransformer):
        return tuple(tower.grid_size)
    if isinstance(tower, ModifiedResNet):
        return (tower.image_size // 32, tower.image_size // 32)
    grid = getattr(getattr(tower.trunk, 'patch_embed', None), 'grid_size', None)
    return grid and tuple(grid)
