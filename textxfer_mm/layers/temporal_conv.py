"""Channel-wise temporal convolution (T1D)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textxfer_mm.errors import UserError, nearest

_INITS = ('identity', 'shift')


def initial_taps(channels: int, init: str, n_div: int, *, kind: str) -> Tensor:
    """Return the initial weight (C, 1, 3) of a temporal convolution, whose taps are the previous, own and next frame.

    Args:
        channels: Number of channels C.
        init: See :class:`T1D`.
        n_div: See :class:`T1D`.
        kind: Name of the module in error messages.

    Raises:
        UserError: An unknown ``init``, or ``n_div`` below 2.
    """
    if init not in _INITS:
        raise UserError(f'{kind}: unknown init={init!r}.{nearest(init, _INITS)}')
    if n_div < 2:
        raise UserError(f'{kind}: n_div={n_div} must be at least 2 (1 / n_div of the channels shift each way).')
    weight = torch.zeros(channels, 1, 3)
    weight[:, 0, 1] = 1
    if init == 'shift':
        fold = channels // n_div
        weight[:fold, 0] = torch.tensor([0.0, 0.0, 1.0])
        weight[fold : 2 * fold, 0] = torch.tensor([1.0, 0.0, 0.0])
    return weight


class T1D(nn.Module):
    """Depthwise convolution of size 3 over the frames of each video, without bias (Text4Vis, temporal module "T1D").

    The weight is that of ``nn.Conv1d(C, C, 3, padding=1, bias=False, groups=C)``; frames before the first and after
    the last are zero. It runs as one depthwise 2-D convolution over the plane of T and H*W, which reads channels-last
    frames without copying them: several times faster than ``nn.Conv1d`` on permuted memory.

    Args:
        channels: Number of channels C.
        init: ``'identity'``: the output starts equal to the input. ``'shift'``: the first ``1 / n_div`` of the
            channels start with the next frame, the next ``1 / n_div`` with the previous one, the rest with their own.
        n_div: Divisor of the channels, see ``init``.

    Raises:
        UserError: An unknown ``init``, or ``n_div`` below 2.
    """

    def __init__(self, channels: int, *, init: str = 'identity', n_div: int = 4) -> None:
        super().__init__()
        self.weight = nn.Parameter(initial_taps(channels, init, n_div, kind='T1D'))

    def forward(self, x: Tensor, num_frames: int) -> Tensor:
        """Mix each frame with its neighbours.

        Args:
            x: Feature maps (N*T, C, H, W), the frames of a video one after another.
            num_frames: Number of frames T of each video.
        """
        c, h, w = x.shape[1:]
        x = x.permute(0, 2, 3, 1).reshape(-1, num_frames, h * w, c)  # (N, T, H*W, C), a view if channels-last
        weight = self.weight.to(x.dtype)[..., None]  # (C, 1, 3, 1)
        x = F.conv2d(x.permute(0, 3, 1, 2), weight, padding=(1, 0), groups=c)  # (N, C, T, H*W)
        return x.permute(0, 2, 3, 1).reshape(-1, h, w, c).permute(0, 3, 1, 2)  # (N*T, C, H, W)

    def extra_repr(self) -> str:
        """Show the size in ``print(model)``."""
        return f'{self.weight.shape[0]}, kernel_size=3'
