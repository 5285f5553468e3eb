"""What becomes of the frames of a video before a model sees them: the steps that resize and crop, as plain functions.

All of them take and return a list of frames (H, W, 3) of type uint8.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

Frames = list[np.ndarray]

_CV2 = dict(nearest='INTER_NEAREST', bilinear='INTER_LINEAR', bicubic='INTER_CUBIC', area='INTER_AREA')
_CV2 |= dict(lanczos='INTER_LANCZOS4')
_PILLOW = dict(nearest='NEAREST', bilinear='BILINEAR', bicubic='BICUBIC', box='BOX', lanczos='LANCZOS')
_PILLOW |= dict(hamming='HAMMING')
#: The interpolations by library.
INTERPOLATIONS = dict(cv2=tuple(_CV2), pillow=tuple(_PILLOW))


def resize(
    frames: Frames, *, scale: float | Sequence[int], keep_ratio: bool, interpolation: str, backend: str
) -> Frames:
    """Resize as MMAction2's and MMCV's ``Resize`` do.

    Args:
        frames: The frames.
        scale: A factor; or (w, h), the size itself, or with ``keep_ratio`` what they must fit in. One side of -1 sets
            no limit to the long side.
        keep_ratio: Whether the ratio of the sides is kept.
        interpolation: One of :data:`INTERPOLATIONS`.
        backend: ``'cv2'`` or ``'pillow'``.
    """
    height, width = frames[0].shape[:2]
    size = _fitting(width, height, scale) if keep_ratio else tuple(scale)
    return _resized(frames, size, interpolation, backend)


def resize_edge(frames: Frames, *, scale: int, edge: str, interpolation: str, backend: str) -> Frames:
    """Bring one side to a size, the other with it and rounded down, as MMPretrain's ``ResizeEdge`` does.

    Args:
        frames: The frames.
        scale: The side in pixels.
        edge: ``'short'``, ``'long'``, ``'width'`` or ``'height'``.
        interpolation: One of :data:`INTERPOLATIONS`.
        backend: ``'cv2'`` or ``'pillow'``.
    """
    height, width = frames[0].shape[:2]
    by_width = dict(short=width < height, long=width > height, width=True, height=False)[edge]
    size = (scale, int(scale * height / width)) if by_width else (int(scale * width / height), scale)
    return _resized(frames, size, interpolation, backend)


def pillow_resize(frames: Frames, *, short_side: int) -> Frames:
    """Bring the short side to a size by Pillow's bicubic filter, as ``PillowResize`` does."""
    height, width = frames[0].shape[:2]
    longer = short_side * max(height, width) // min(height, width)
    size = (short_side, longer) if width <= height else (longer, short_side)
    return frames if size == (width, height) else _resized(frames, size, 'bicubic', 'pillow')


def center_crop(frames: Frames, *, crop_size: Sequence[int]) -> Frames:
    """Cut (w, h) out of the middle, as MMAction2's ``CenterCrop`` does."""
    height, width = frames[0].shape[:2]
    crop_width, crop_height = crop_size
    return _crop(frames, (width - crop_width) // 2, (height - crop_height) // 2, crop_width, crop_height)


def center_crop_image(frames: Frames, *, crop_size: Sequence[int]) -> Frames:
    """Cut (w, h) out of the middle, as MMCV's ``CenterCrop`` does, which rounds otherwise; less of smaller images."""
    height, width = frames[0].shape[:2]
    crop_width, crop_height = min(crop_size[0], width), min(crop_size[1], height)
    left, top = round((width - crop_width) / 2), round((height - crop_height) / 2)
    return _crop(frames, left, top, crop_width, crop_height)


def three_crop(frames: Frames, *, crop_size: Sequence[int]) -> Frames:
    """Cut three out along the longer side: both ends and the middle, as MMAction2's ``ThreeCrop`` does."""
    height, width = frames[0].shape[:2]
    crop_width, crop_height = crop_size
    if crop_height == height:
        step = (width - crop_width) // 2
        corners = [(0, 0), (2 * step, 0), (step, 0)]
    elif crop_width == width:
        step = (height - crop_height) // 2
        corners = [(0, 0), (0, 2 * step), (0, step)]
    else:
        raise ValueError(f'three crops of {crop_width} x {crop_height} cannot be cut out of {width} x {height}')
    return [crop for left, top in corners for crop in _crop(frames, left, top, crop_width, crop_height)]


def ten_crop(frames: Frames, *, crop_size: Sequence[int]) -> Frames:
    """Cut out the corners and the middle, each as it is and mirrored, as MMAction2's ``TenCrop`` does."""
    height, width = frames[0].shape[:2]
    crop_width, crop_height = crop_size
    right, low = (width - crop_width) // 4, (height - crop_height) // 4
    corners = [(0, 0), (4 * right, 0), (0, 4 * low), (4 * right, 4 * low), (2 * right, 2 * low)]
    crops: Frames = []
    for left, top in corners:
        cut = _crop(frames, left, top, crop_width, crop_height)
        crops += [*cut, *(frame[:, ::-1] for frame in cut)]
    return crops


def full_res_three_crop(frames: Frames, *, crop_size: int) -> Frames:
    """Cut three squares out at mid height, as ``FullResThreeCrop`` (Text4Vis' released evaluation) does."""
    height, width = frames[0].shape[:2]
    top, step = 2 * ((height - crop_size) // 4), (width - crop_size) // 4
    corners = [(0, top), (4 * step, top), (2 * step, top)]
    return [crop for left, up in corners for crop in _crop(frames, left, up, crop_size, crop_size)]


#: By the name of the step in an exported file.
STEPS: Mapping[str, Callable[..., Frames]] = dict(
    Resize=resize,
    ResizeEdge=resize_edge,
    PillowResize=pillow_resize,
    CenterCrop=center_crop,
    CenterCropImage=center_crop_image,
    ThreeCrop=three_crop,
    TenCrop=ten_crop,
    FullResThreeCrop=full_res_three_crop,
)


def _fitting(width: int, height: int, scale: float | Sequence[int]) -> tuple[int, int]:
    """The size (w, h) of frames that keep their ratio."""
    if isinstance(scale, int | float):
        factor = float(scale)
    else:
        long, short = max(scale), min(scale)
        if short == -1:
            long, short = float('inf'), long
        factor = min(long / max(height, width), short / min(height, width))
    return int(width * factor + 0.5), int(height * factor + 0.5)


def _resized(frames: Frames, size: Sequence[int], interpolation: str, backend: str) -> Frames:
    """All frames at a size (w, h)."""
    if backend == 'pillow':
        from PIL import Image

        method = Image.Resampling[_PILLOW[interpolation]]
        return [np.asarray(Image.fromarray(frame).resize(tuple(size), method)) for frame in frames]
    import cv2

    return [cv2.resize(frame, tuple(size), interpolation=getattr(cv2, _CV2[interpolation])) for frame in frames]


def _crop(frames: Frames, left: int, top: int, width: int, height: int) -> Frames:
    """Cut the same out of all frames.

    Raises:
        ValueError: They are smaller.
    """
    found = frames[0].shape
    if left < 0 or top < 0 or left + width > found[1] or top + height > found[0]:
        raise ValueError(f'{width} x {height} pixels cannot be cut out of frames of {found[1]} x {found[0]}')
    return [frame[top : top + height, left : left + width] for frame in frames]
