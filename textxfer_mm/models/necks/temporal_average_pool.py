"""The average over frames as a neck (TAP)."""

from typing import Any

from torch import Tensor, nn

from textxfer_mm.models.necks.checks import check_video_maps
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
        check_video_maps(x, 'TemporalAveragePool')
        return x.mean(dim=2, keepdim=True), {}
