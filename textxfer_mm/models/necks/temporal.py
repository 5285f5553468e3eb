"""The necks: the average over frames (TAP) and the temporal transformer (T-Trans)."""

from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn

from textxfer_mm.errors import UserError
from textxfer_mm.layers.temporal_transformer import TemporalTransformerLayers
from textxfer_mm.registry import MODELS


@MODELS.register_module()
class TemporalAveragePool(nn.Module):
    """Mean over T of un-normalised features (Text4Vis, temporal module "TAP"); the maps keep their H and W."""

    def forward(self, x: Tensor, data_samples: Any = None) -> tuple[Tensor, dict]:
        """Average over the frames.

        Args:
            x: Feature maps (N*V, D, T, H, W).
            data_samples: Unused; part of mmaction's neck protocol.

        Returns:
            Maps (N*V, D, 1, H, W) and an empty dict of auxiliary losses.
        """
        _check_video_maps(x, 'TemporalAveragePool')
        return x.mean(dim=2, keepdim=True), {}


@MODELS.register_module()
class TemporalTransformer(BaseModule):
    """Self-attention over the frame features of each video, with a residual around it (Text4Vis, "T-Trans").

    Maps with a spatial extent are averaged over it first: the paper's module works on one vector a frame. T stays as it
    is and is pooled by the head, so that head and neck together are the paper's ``mean_t(Transf(x + positions) + x)``.

    The authors' ``fusion_model.*`` weights go to ``neck.layers.*``.

    Args:
        in_channels: The width D of the features.
        num_layers: Number of blocks.
        num_heads: Number of attention heads; None means ``in_channels // 64``, the heads of CLIP's text tower wherever
            its width is D (8 for ViT-B, 12 for ViT-L). RN50 has D = 1024 but a text width of 512: give 8.
        max_frames: Number of rows of the position table (77 in the authors' checkpoints).
        num_frames: The T for which the positions were trained; for any other T, the first ``num_frames`` rows are
            interpolated. None assigns row t to frame t, as the authors do, and interpolates only above ``max_frames``.
        bottleneck: A width below D in which the blocks work, between two linear maps of which the last starts at zero:
            for few videos. None is the paper's, as wide as the features.
        init_cfg: Initialisation config of MMEngine; None keeps the paper's.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        num_layers: int = 6,
        num_heads: int | None = None,
        max_frames: int = 77,
        num_frames: int | None = None,
        bottleneck: int | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.in_channels = in_channels
        self.layers = TemporalTransformerLayers(
            in_channels,
            num_layers=num_layers,
            num_heads=num_heads,
            max_frames=max_frames,
            num_frames=num_frames,
            bottleneck=bottleneck,
        )

    def forward(self, x: Tensor, data_samples: Any = None) -> tuple[Tensor, dict]:
        """Mix the frames.

        Args:
            x: Feature maps (N*V, D, T, H, W).
            data_samples: Unused; part of mmaction's neck protocol.

        Returns:
            Maps (N*V, D, T, 1, 1) and an empty dict of auxiliary losses.
        """
        _check_video_maps(x, 'TemporalTransformer', self.in_channels)
        x = x.mean(dim=(3, 4)).transpose(1, 2)  # (N*V, T, D)
        return self.layers(x).transpose(1, 2)[..., None, None], {}


def _check_video_maps(x: Any, neck: str, in_channels: int | None = None) -> None:
    """Refuse anything but a (N*V, D, T, H, W) tensor whose D is ``in_channels``.

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
