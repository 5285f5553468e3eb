"""A backbone for features that were made before."""

from mmengine.model import BaseModule
from torch import Tensor

from textxfer_mm.errors import UserError
from textxfer_mm.registry import MODELS


@MODELS.register_module()
class IdentityBackbone(BaseModule):
    """Hands on the features of a :class:`~textxfer_mm.datasets.feature_dataset.FeatureDataset` as they are.

    Args:
        out_channels: The width D of the features.
    """

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.out_channels = out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Return feature maps (N, D, T, H, W) or (N, D, H, W).

        Raises:
            UserError: Something else came, such as pixels.
        """
        if x.ndim not in (4, 5) or x.shape[1] != self.out_channels:
            raise UserError(
                f'IdentityBackbone(out_channels={self.out_channels}) takes features (N, D, T, H, W) or (N, D, H, W) of '
                f'that width D, not {tuple(x.shape)}: its loaders read a FeatureDataset, its recognizer is of the kind '
                'that made the features.'
            )
        return x
