"""What every neck asks of its input."""

from typing import Any

from torch import Tensor

from textxfer_mm.errors import UserError


def check_video_maps(x: Any, neck: str, in_channels: int | None = None) -> None:
    """Refuse what is no (N*V, D, T, H, W) tensor, or whose D is not ``in_channels``.

    Raises:
        UserError: Naming the neck, what came and what was expected.
    """
    if not isinstance(x, Tensor) or x.ndim != 5:
        got = f'a tensor of shape {tuple(x.shape)}' if isinstance(x, Tensor) else f'a {type(x).__name__}'
        raise UserError(
            f'{neck} takes one feature map (N*V, D, T, H, W) but got {got}. Use it in Recognizer3D, under a backbone '
            'with one output (for stock backbones: one entry in out_indices).'
        )
    if in_channels is not None and x.shape[1] != in_channels:
        raise UserError(f'{neck}(in_channels={in_channels}) got features of width {x.shape[1]}; make the two agree.')
