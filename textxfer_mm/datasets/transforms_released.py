"""The test views of Text4Vis' released code: which frames, resized how, cropped where.

Together with stock steps they give the inputs of the authors' own evaluation from the same decoded frames
(``configs/_base_/datasets/kinetics400_video_8frames_released-evaluation.py``); other steps see other frames and pixels.
"""

from typing import Any

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform

from textxfer_mm.errors import UserError
from textxfer_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class SegmentStartSample(BaseTransform):
    """Samples the frames at the start of T equal segments; further clips begin later and wrap around the end.

    With L frames and ``starts = linspace(0, L / T - 1, num_clips)`` in whole numbers, frame i of a clip is
    ``int(start + L / T * i) % L``. A video with fewer than T frames gives some of them several times. NumPy rounds
    negative starts, which such a video has, downwards since its version 1.20, and towards 0 before.

    Needs ``total_frames`` and ``start_index``; adds ``frame_inds``, ``clip_len``, ``frame_interval`` (None) and
    ``num_clips``.

    Args:
        clip_len: T, the frames of a clip.
        num_clips: The clips of a video.

    Raises:
        UserError: One of them is no whole number of at least 1.
    """

    def __init__(self, clip_len: int, num_clips: int = 1) -> None:
        self.clip_len = _require_positive(self, 'clip_len', clip_len)
        self.num_clips = _require_positive(self, 'num_clips', num_clips)

    def transform(self, results: dict) -> dict:
        """Add the indices of the frames, one clip after the other."""
        length = results['total_frames']
        segment = length / self.clip_len
        starts = np.linspace(0, segment - 1, self.num_clips, dtype=int)
        positions = starts[:, None] + segment * np.arange(self.clip_len)  # (clips, T)
        indices = np.trunc(positions).astype(int) % length
        results.update(
            frame_inds=(indices.ravel() + results['start_index']).astype(np.int32),
            clip_len=self.clip_len,
            frame_interval=None,
            num_clips=self.num_clips,
        )
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(clip_len={self.clip_len}, num_clips={self.num_clips})'


@TRANSFORMS.register_module()
class PillowResize(BaseTransform):
    """Resizes the short side of the frames bicubically, as torchvision does with PIL images.

    The long side is rounded down, and Pillow's filter averages over all pixels that become one, where that of OpenCV,
    which the stock ``Resize`` has, skips some. Needs ``imgs``; changes ``imgs`` and ``img_shape``.

    Args:
        short_side: The short side in pixels.

    Raises:
        UserError: It is no whole number of at least 1.
    """

    def __init__(self, short_side: int) -> None:
        self.short_side = _require_positive(self, 'short_side', short_side)

    def transform(self, results: dict) -> dict:
        """Resize all frames; those that have the size are handed on as they are."""
        height, width = results['imgs'][0].shape[:2]
        short, long = min(height, width), max(height, width)
        longer = self.short_side * long // short
        size = (self.short_side, longer) if width <= height else (longer, self.short_side)  # (w, h)
        if size != (width, height):
            results['imgs'] = [
                mmcv.imresize(frame, size, interpolation='bicubic', backend='pillow') for frame in results['imgs']
            ]
        results['img_shape'] = size[::-1]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(short_side={self.short_side})'


@TRANSFORMS.register_module()
class FullResThreeCrop(BaseTransform):
    """Crops three squares at mid height: left, right, centre (``GroupFullResSample`` of TSN's code).

    A step is a quarter of what a crop leaves over, rounded down: ``(side - crop_size) // 4``. Crops begin 0, 4 and 2
    steps from the left, and 2 steps from the top. Of a portrait video they nearly coincide, and do so where its width
    is that of the crop. Needs ``imgs``; changes ``imgs`` (the crops one after the other, each with all frames of all
    clips), ``img_shape`` and ``crop_bbox``.

    Args:
        crop_size: The side of the squares, in pixels.

    Raises:
        UserError: It is no whole number of at least 1; from ``transform``, if the frames are smaller.
    """

    def __init__(self, crop_size: int) -> None:
        self.crop_size = _require_positive(self, 'crop_size', crop_size)

    def transform(self, results: dict) -> dict:
        """Crop all frames."""
        frames, size = results['imgs'], self.crop_size
        height, width = frames[0].shape[:2]
        if min(height, width) < size:
            raise UserError(
                f'{type(self).__name__} cuts {size} x {size} pixels out of frames of {width} x {height}: resize their '
                f'short side to at least {size} before.'
            )
        top, step = 2 * ((height - size) // 4), (width - size) // 4
        lefts = (0, 4 * step, 2 * step)
        results['imgs'] = [frame[top : top + size, left : left + size] for left in lefts for frame in frames]
        boxes = [(left, top, left + size, top + size) for left in lefts]
        results.update(img_shape=(size, size), crop_bbox=np.repeat(boxes, len(frames), axis=0))
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(crop_size={self.crop_size})'


def _require_positive(step: BaseTransform, name: str, value: Any) -> int:
    """Return a whole number of at least 1, or say whose it was to be."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UserError(f'{type(step).__name__} takes a whole number of at least 1 as {name}, got {value!r}.')
    return value
