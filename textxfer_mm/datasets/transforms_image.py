"""Stills of MMAction2's kind as images of MMPretrain's, and the other way round."""

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


@TRANSFORMS.register_module()
class ImageAsFrames(BaseTransform):
    """Takes ``img`` (H, W, 3), BGR, for a video of one frame, as the decoding steps of MMAction2 leave it.

    Behind ``LoadImageFromFile``, images of files feed the steps of MMAction2. Adds ``imgs``, a list of one RGB frame,
    ``original_shape``, ``img_shape``, ``num_clips``, ``clip_len``, ``modality``, and ``label`` where there is a
    ``gt_label``.
    """

    def transform(self, results: dict) -> dict:
        """Take the image."""
        image = results['img']
        size = image.shape[:2]
        results.update(imgs=[np.ascontiguousarray(image[..., ::-1])], original_shape=size, img_shape=size)
        results.update(num_clips=1, clip_len=1, modality='RGB')
        if 'gt_label' in results:
            results['label'] = results['gt_label']
        return results
