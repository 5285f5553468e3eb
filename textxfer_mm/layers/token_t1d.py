"""Channel-wise temporal convolution of the class token (TokenT1D)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textxfer_mm.layers.temporal_conv import initial_taps


class TokenT1D(nn.Module):
    """Depthwise convolution of size 3 over T on the class token alone (Text4Vis, temporal module "TokenT1D").

    The weight is that of ``nn.Conv1d(C, C, 3, padding=1, bias=False, groups=C)``; frames before the first and after the
    last are zero. It is computed as three products in the dtype of the tokens, so that a float32 residual stream stays
    float32 under autocast, which would round the input of a convolution.

    Args:
        channels: Width C of the tokens.
        init: ``'shift'`` (the authors'): the first ``1 / n_div`` of the channels start with the next frame, the next
            ``1 / n_div`` with the previous one, the rest with their own. ``'identity'``: the output starts equal to
            the input.
        n_div: Divisor of the channels, see ``init``.

    Raises:
        UserError: An unknown ``init``, or ``n_div`` below 2.
    """

    def __init__(self, channels: int, *, init: str = 'shift', n_div: int = 4) -> None:
        super().__init__()
        self.weight = nn.Parameter(initial_taps(channels, init, n_div, kind='TokenT1D'))

    def mix(self, token: Tensor, num_frames: int) -> Tensor:
        """Mix the class tokens (N*T, C) over the T frames of each video, which lie one after another."""
        frames = F.pad(token.unflatten(0, (-1, num_frames)), (0, 0, 1, 1))  # (N, T + 2, C)
        before, own, after = self.weight[:, 0].to(token.dtype).unbind(1)  # (C,) each
        mixed = frames[:, :-2] * before + frames[:, 1:-1] * own + frames[:, 2:] * after
        return mixed.flatten(0, 1)

    def forward(self, x: Tensor, num_frames: int) -> Tensor:
        """Mix the class tokens with those of the neighbouring frames.

        Args:
            x: Tokens (N*T, L, C), the class token first, the frames of a video one after another.
            num_frames: Number of frames T of each video.
        """
        return torch.cat([self.mix(x[:, 0], num_frames)[:, None], x[:, 1:]], dim=1)

    def extra_repr(self) -> str:
        """Show the size in ``print(model)``."""
        return f'{self.weight.shape[0]}, kernel_size=3'
