"""CLIP's vision tower as a backbone of images."""

from torch import Tensor

from textxfer_mm.errors import UserError
from textxfer_mm.layers.lazy import LazyWeights
from textxfer_mm.registry import MODELS
from textxfer_mm.vision.clip_tower import CLIPVisionTower


@MODELS.register_module()
class CLIPImageBackbone(LazyWeights, CLIPVisionTower):
    """Any vision tower of open_clip; returns the tuple of features that MMPretrain's heads take.

    Its weights are named as those of ``CLIPBackbone``: a checkpoint of either loads into the other. Args and errors:
    see :class:`~textxfer_mm.vision.clip_tower.CLIPVisionTower`; ``temporal`` is refused, since an image has no frames
    to mix.
    """

    takes_videos = False

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Encode images.

        Args:
            x: Normalised images (N, 3, H, W).

        Returns:
            ``(features,)`` with features (N, D), un-normalised.

        Raises:
            UserError: Another shape, or another H and W than the tower takes.
        """
        self.ensure_weights()
        if x.ndim != 4 or x.shape[1] != 3:
            raise UserError(
                f'CLIPImageBackbone takes images (N, 3, H, W), not a tensor of shape {tuple(x.shape)}; videos are for '
                'CLIPBackbone under MMAction2.'
            )
        return (self.encode(x),)
