"""Stills of MMAction2's kind as images of MMPretrain's."""

import numpy as np
from mmcv.transforms import BaseTransform

from textxfer_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class FrameAsImage(BaseTransform):
    """Takes the first frame of ``array`` (T, H, W, 3), RGB uint8, for an image, as ``LoadImageFromFile`` leaves it.

    So datasets that render videos, such as ``SceneClasses`` with ``frames=1``, feed the steps of MMPretrain. Adds
    ``img`` (H, W, 3), BGR, ``img_shape``, ``ori_shape``, and ``gt_label`` where there is a ``label``.
    """

    def transform(self, results: dict) -> dict:
        """Take the frame."""
        frame = results['array'][0]
        size = frame.shape[:2]
        results.update(img=np.ascontiguousarray(frame[..., ::-1]), img_shape=size, ori_shape=size)
        if 'label' in results:
            results['gt_label'] = results['label']
        return results
