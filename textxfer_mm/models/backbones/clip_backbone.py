"""CLIP's vision tower as a backbone of frames and videos."""

from torch import Tensor

from textxfer_mm.errors import UserError
from textxfer_mm.layers.lazy import LazyWeights
from textxfer_mm.registry import MODELS
from textxfer_mm.vision.clip_tower import CLIPVisionTower


@MODELS.register_module()
class CLIPBackbone(LazyWeights, CLIPVisionTower):
    """Any vision tower of open_clip, applied to each frame; returns the feature maps of MMAction2's backbones.

    Args and errors: see :class:`~textxfer_mm.vision.clip_tower.CLIPVisionTower`.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Encode frames.

        Args:
            x: Normalised videos (N, 3, T, H, W) or frames (N, 3, H, W), or what :meth:`encode_frozen` made of them.

        Returns:
            Feature maps (N, D, T, 1, 1) or (N, D, 1, 1).

        Raises:
            UserError: Another shape, or another H and W than the tower takes.
        """
        self.ensure_weights()
        if x.ndim not in (4, 5) or not self.takes_channels(x.shape[1]):
            raise UserError(
                'CLIPBackbone takes videos (N, 3, T, H, W) or frames (N, 3, H, W), not a tensor of shape '
                f'{tuple(x.shape)}; FormatShape(input_format=...) is NCTHW for Recognizer3D, NCHW for Recognizer2D.'
            )
        features = self.encode(x)  # (N*T, D)
        if x.ndim == 4:
            return features[..., None, None]
        return features.unflatten(0, (-1, x.shape[2])).transpose(1, 2)[..., None, None]
