"""timm's RandAugment for clips: every frame gets the same operations at the same magnitudes."""

import random

import numpy as np
from mmcv.transforms import BaseTransform
from PIL import Image
from timm.data.auto_augment import rand_augment_transform

from textxfer_mm.errors import UserError
from textxfer_mm.registry import TRANSFORMS

_INTERPOLATIONS = {resampling.name.lower(): resampling for resampling in Image.Resampling}


@TRANSFORMS.register_module()
class TimmRandAugment(BaseTransform):
    """RandAugment (Cubuk et al., 2020) by the words of timm, which the released code of MultiTrain and MViT copies.

    The operations and their magnitudes are drawn once a clip. MMAction2's ``PytorchVideoWrapper`` does nearly the same
    by torchvision's operations, and needs pytorchvideo.

    Needs ``imgs``, frames (H, W, 3) of uint8; replaces them.

    Args:
        policy: As in timm: ``'rand-m7-n4-mstd0.5-inc1'`` are 4 operations of magnitude 7 with a standard deviation of
            0.5, each with a probability of one half, out of those that grow stronger with the magnitude.
        interpolation: How frames are resampled by what moves pixels: ``'bicubic'``, ``'bilinear'``, ...

    Raises:
        UserError: timm does not know the policy, or Pillow the interpolation.
    """

    def __init__(self, policy: str = 'rand-m7-n4-mstd0.5-inc1', interpolation: str = 'bicubic') -> None:
        if interpolation not in _INTERPOLATIONS:
            known = ', '.join(_INTERPOLATIONS)
            raise UserError(f'TimmRandAugment: interpolation={interpolation!r} is unknown. Known: {known}.')
        self.policy, self.interpolation = policy, interpolation
        try:
            self.augment = rand_augment_transform(policy, dict(interpolation=_INTERPOLATIONS[interpolation]))
        except (AssertionError, ValueError, AttributeError, TypeError) as error:
            raise UserError(
                f"TimmRandAugment: timm knows no policy {policy!r}; give one such as 'rand-m7-n4-mstd0.5-inc1'."
            ) from error

    def transform(self, results: dict) -> dict:
        """Augment the frames of a clip."""
        before = random.getstate(), np.random.get_state()
        frames = []
        for image in results['imgs']:
            random.setstate(before[0])  # each frame draws what the first one drew
            np.random.set_state(before[1])
            frames.append(np.array(self.augment(Image.fromarray(image))))
        results['imgs'] = frames
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(policy={self.policy!r}, interpolation={self.interpolation!r})'
