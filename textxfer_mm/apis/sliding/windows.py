"""Where the windows lie, and which frames of the video each of them takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

#: A window in seconds, where the model's sampling does not give one.
DEFAULT_WINDOW = 2.0
#: Times closer than this are one, in seconds: those of files are rounded.
_CLOSE = 1e-6


@dataclass(frozen=True)
class Windows:
    """Windows of a video.

    Attributes:
        starts: Where each begins (W,), in seconds, increasing.
        ends: Where each ends (W,), in seconds.
        first: The number of the first frame of each (W,).
        last: The number of the frame behind the last of each (W,), at least one more than ``first``.
    """

    starts: np.ndarray
    ends: np.ndarray
    first: np.ndarray
    last: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)


def own_window(sampling: Sequence[Mapping[str, Any]], frame_rate: float) -> tuple[float, float, list[dict[str, Any]]]:
    """The window and the stride, in seconds, that a model's own sampling suggests.

    ``SampleFrames`` of clips takes frames at a fixed interval: the window is one clip of them. ``UniformSample``
    spreads its frames over any length: the window is the one nearest to :data:`DEFAULT_WINDOW` of which T parts are
    whole frames. The stride is half of it, a whole number of the steps between the frames, so that windows share some.

    Args:
        sampling: The configs of the sampling steps.
        frame_rate: Frames a second.

    Returns:
        Window, stride and the sampling steps for it: views that would be one and the same clip are one.
    """
    steps = [dict(step) for step in sampling]
    clips = next((step for step in steps if _kind(step) == 'SampleFrames' and step.get('clip_len', 1) > 1), None)
    if clips is not None:
        clips['num_clips'] = 1
        frames, step = clips['clip_len'], clips.get('frame_interval', 1)
        if clips.get('target_fps'):
            rate = clips['target_fps']
            return frames * step / rate, max(frames // 2, 1) * step / rate, steps
        return ((frames - 1) * step + 1) / frame_rate, max(frames // 2, 1) * step / frame_rate, steps
    uniform = next((step for step in steps if _kind(step) == 'UniformSample'), None)
    if uniform is None:
        return DEFAULT_WINDOW, DEFAULT_WINDOW / 2, steps
    frames = uniform['clip_len']
    step = max(round(DEFAULT_WINDOW * frame_rate / frames), 1)
    return (frames * step + 1) / frame_rate, max(frames // 2, 1) * step / frame_rate, steps


def _kind(step: Mapping[str, Any]) -> str:
    return str(step['type']).rpartition('.')[2]


def place_windows(seconds: np.ndarray, duration: float, window: float, stride: float) -> Windows:
    """Lay windows over a video from its beginning; the last one ends where it ends.

    A window takes the frames that are shown first within it, or, where there are none, the one that is shown
    throughout. One that is longer than the video is as long as the video.

    Args:
        seconds: When each frame is shown (n,), increasing.
        duration: The end of the last frame, in seconds.
        window: The length of a window, in seconds.
        stride: From the beginning of a window to that of the next, in seconds.
    """
    begin = float(seconds[0])
    room = duration - begin - window
    starts = begin + stride * np.arange(max(int((room + _CLOSE) // stride), 0) + 1)
    if room > _CLOSE and starts[-1] < begin + room - _CLOSE:
        starts = np.append(starts, begin + room)
    ends = np.minimum(starts + window, duration)
    first = np.searchsorted(seconds, starts - _CLOSE)
    last = np.searchsorted(seconds, ends - _CLOSE)
    is_empty = last <= first
    first = np.where(is_empty, np.maximum(np.searchsorted(seconds, starts + _CLOSE, side='right') - 1, 0), first)
    return Windows(starts, ends, first, np.where(is_empty, first + 1, last))


def length_of(seconds: np.ndarray, frame_rate: float) -> float:
    """When the last frame ends, in seconds: it is shown as long as a frame is by the frame rate."""
    between = np.diff(seconds)
    usual = 1 / frame_rate if frame_rate else float(np.median(between)) if len(between) else 0.04
    return float(seconds[-1]) + usual
