"""Position embeddings for another input size."""

from collections.abc import Mapping

from open_clip.modified_resnet import ModifiedResNet
from open_clip.transformer import VisionTransformer
from timm.layers import resample_abs_pos_embed
from torch import Tensor, nn

_NAMES = ('positional_embedding', 'attnpool.positional_embedding', 'trunk.pos_embed')


def resize_positions(state: Mapping[str, Tensor], tower: nn.Module) -> dict[str, Tensor]:
    """Resize the position embeddings of a state dict to the grid of the tower (bicubic, antialiased).

    Entries of another width, or that come from a grid that is not square, are left for the loader to refuse.

    Args:
        state: Weights of a vision tower, named as in the tower.
        tower: The tower they are meant for.

    Returns:
        A copy of ``state`` in which the embeddings fit.
    """
    resized = dict(state)
    own = dict(tower.named_parameters())
    for name in _NAMES:
        if name not in own or name not in state or state[name].shape == own[name].shape:
            continue
        grid = _grid(tower)
        old, new = (tensor.reshape(-1, tensor.shape[-1]) for tensor in (state[name], own[name]))  # (L, D)
        prefix = len(new) - grid[0] * grid[1]  # class token, or the mean token of the attention pool
        side = round(max(len(old) - prefix, 0) ** 0.5)
        if old.shape[1] == new.shape[1] and side > 0 and side**2 == len(old) - prefix:
            positions = resample_abs_pos_embed(old[None].float(), grid, (side, side), num_prefix_tokens=prefix)
            resized[name] = positions.reshape(own[name].shape)
    return resized


def _grid(tower: nn.Module) -> tuple[int, int]:
    """Rows and columns of position embeddings."""
    if isinstance(tower, VisionTransformer):
        return tuple(tower.grid_size)
    if isinstance(tower, ModifiedResNet):
        return (tower.image_size // 32, tower.image_size // 32)
    return tuple(tower.trunk.patch_embed.grid_size)
