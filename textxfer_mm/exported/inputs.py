"""Videos and images, files or arrays, as the pixels that an exported model takes: its test pipeline as plain data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from textxfer_mm.exported.pixels import STEPS, Frames
from textxfer_mm.exported.sampling import SAMPLERS
from textxfer_mm.inputs import is_image
from textxfer_mm.video.guard import open_video
from textxfer_mm.video.media import Medium
from textxfer_mm.video.stills import read_image


class ExportedInputs:
    """Makes of a video or an image the pixels that an exported model takes.

    To a model of videos an image is a video of one frame; of a video a model of images gets some frames.

    Args:
        plan: A test pipeline as plain data:

            - ``images``: whether the model is one of images;
            - ``sample``: the step that chooses frames, ``dict(type=..., ...)`` with a name of
              :data:`~textxfer_mm.exported.sampling.SAMPLERS`;
            - ``steps``: the steps that resize and crop, likewise with names of
              :data:`~textxfer_mm.exported.pixels.STEPS`;
            - ``clip_len``: frames T of a clip; None where each frame is an image of its own.
    """

    def __init__(self, plan: Mapping[str, Any]) -> None:
        self._images, self._clip_len = plan['images'], plan['clip_len']
        self._sample, self._sampling = _known(plan['sample'], SAMPLERS)
        self._steps = [_known(step, STEPS) for step in plan['steps']]

    def __call__(self, medium: Medium) -> np.ndarray:
        """RGB pixels of type uint8: (V, 3, T, H, W), or (V, 3, H, W) where each frame is an image of its own.

        Raises:
            UnreadableVideoError: There is no video in the file.
            OSError: There is no image in it.
            ValueError: Its frames are too small.
        """
        return self.pixels_of(self._frames(medium))

    def pixels_of(self, frames: Frames) -> np.ndarray:
        """Resize, crop and arrange frames (H, W, 3) that have been chosen."""
        for step, options in self._steps:
            frames = step(frames, **options)
        pixels = np.stack(frames)  # (crops * clips * T, H, W, 3)
        if self._clip_len is None:
            return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        clips = pixels.reshape(-1, self._clip_len, *pixels.shape[1:])  # (V, T, H, W, 3)
        return np.ascontiguousarray(clips.transpose(0, 4, 1, 2, 3))

    def _frames(self, medium: Medium) -> Frames:
        """The frames that are looked at."""
        if isinstance(medium, np.ndarray):
            return [medium[number] for number in self._sample(len(medium), None, **self._sampling)]
        if is_image(medium):
            image = _read_as_opencv(medium) if self._images else read_image(medium)
            return [image] if self._images else [image] * len(self._sample(1, None, **self._sampling))
        reader = open_video(str(medium))
        return list(reader.read(self._sample(len(reader), reader.facts.frame_rate, **self._sampling)))


def _known(step: Mapping[str, Any], known: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The function of a step, and its options."""
    return known[step['type']], {key: value for key, value in step.items() if key != 'type'}


def _read_as_opencv(path: str | Path) -> np.ndarray:
    """Read an image as models of images are fed, by OpenCV, as RGB (H, W, 3).

    Raises:
        OSError: There is no image in the file.
    """
    import cv2

    try:
        image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    except (cv2.error, FileNotFoundError) as error:
        raise OSError('missing file' if isinstance(error, FileNotFoundError) else 'an empty file') from error
    if image is None:
        raise OSError('no image of a known format, or its header is damaged')
    return np.ascontiguousarray(image[..., ::-1])
