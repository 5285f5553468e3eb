"""Which frames of a video a model looks at: the test modes of the sampling steps, as plain functions."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


def uniform_sample(total: int, rate: float | None, *, clip_len: int, num_clips: int = 1) -> np.ndarray:
    """Frames of MMAction2's ``UniformSample``: T equal segments, one frame of each for each clip.

    Args:
        total: Frames of the video.
        rate: Frames a second; not needed.
        clip_len: T.
        num_clips: Clips of a video.

    Returns:
        Numbers (num_clips * T,), one clip after the other.
    """
    segment = float(total - 1) / clip_len
    starts = np.round(segment * np.arange(clip_len)).astype(int)  # (T,)
    offsets = (segment / (num_clips + 1) * np.arange(1, num_clips + 1)).astype(int)  # (clips,)
    return (offsets[:, None] + starts).ravel()


def sample_frames(
    total: int,
    rate: float | None,
    *,
    clip_len: int,
    frame_interval: int = 1,
    num_clips: int = 1,
    twice_sample: bool = False,
    out_of_bound_opt: str = 'loop',
    target_fps: float | None = None,
) -> np.ndarray:
    """Frames of MMAction2's ``SampleFrames``: clips of neighbouring frames, spread over the video.

    Args:
        total: Frames of the video.
        rate: Frames a second, where they are known.
        clip_len: T.
        frame_interval: From one frame of a clip to the next.
        num_clips: Clips of a video.
        twice_sample: Whether there are as many clips again.
        out_of_bound_opt: What stands for frames behind the end: ``'loop'`` begins again, ``'repeat_last'`` repeats.
        target_fps: Frames a second that clips are brought to.

    Returns:
        Numbers (clips * T,), one clip after the other.
    """
    ratio = rate / target_fps if target_fps and rate else 1.0
    if target_fps is None:
        length = (clip_len - 1) * frame_interval + 1
    else:
        length = np.maximum(1, clip_len * frame_interval * ratio)
    starts = _clip_starts(total, length, clip_len, num_clips, twice_sample, target_fps is not None)
    if target_fps:
        steps = np.linspace(0, length - 1, clip_len).astype(np.int32)
    else:
        steps = np.arange(clip_len) * frame_interval
    numbers = starts[:, None] + steps  # (clips, T)
    if out_of_bound_opt == 'loop':
        numbers = np.mod(numbers, total)
    else:
        inside = numbers < total
        numbers = np.where(inside, numbers, np.max(inside * numbers, axis=1, keepdims=True))
    return numbers.ravel().astype(np.int32)


def _clip_starts(total: int, length: float, clip_len: int, num_clips: int, twice: bool, at_rate: bool) -> np.ndarray:
    """Where the clips begin (clips,), which need not be whole numbers."""
    if clip_len == 1:
        share = total / float(num_clips)
        starts = np.arange(num_clips) * share
        return np.concatenate([starts + share / 2.0, starts]) if twice else starts + share / 2.0
    room, number = max(total - length, 0), num_clips * 2 if twice else num_clips
    if number == 1:
        return np.array([room // 2])
    between = room / float(num_clips - 1)
    return np.arange(number) * np.floor(between) if at_rate else np.round(np.arange(number) * between)


def segment_start_sample(total: int, rate: float | None, *, clip_len: int, num_clips: int = 1) -> np.ndarray:
    """Frames of ``SegmentStartSample`` (Text4Vis' released evaluation): the starts of T equal segments.

    Args:
        total: Frames of the video.
        rate: Frames a second; not needed.
        clip_len: T.
        num_clips: Clips of a video.

    Returns:
        Numbers (num_clips * T,), one clip after the other.
    """
    segment = total / clip_len
    starts = np.linspace(0, segment - 1, num_clips, dtype=int)
    positions = starts[:, None] + segment * np.arange(clip_len)  # (clips, T)
    return (np.trunc(positions).astype(int) % total).ravel()


#: By the name of the step.
SAMPLERS: Mapping[str, Callable[..., Any]] = dict(
    UniformSample=uniform_sample, SampleFrames=sample_frames, SegmentStartSample=segment_start_sample
)
