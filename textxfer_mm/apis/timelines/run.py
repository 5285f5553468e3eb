"""Sliding windows over a video of any length: each frame is decoded once and encoded once."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose
from torch import Tensor, nn

from textxfer_mm.apis.timelines.encoders import Encoder, encoder_of
from textxfer_mm.apis.timelines.segments import Segment, cell_edges, find_segments, smooth
from textxfer_mm.apis.timelines.windows import Windows, length_of, own_window, place_windows
from textxfer_mm.datasets.transforms_video import CorruptVideoError
from textxfer_mm.engine.classes import labels_of, rows_of
from textxfer_mm.engine.finite import refuse_non_finite_scores
from textxfer_mm.engine.frameworks import has_several_labels, head_module, in_scope
from textxfer_mm.errors import UserError
from textxfer_mm.inputs import is_image, require_seconds, require_threshold
from textxfer_mm.text.glosses.table import told_apart
from textxfer_mm.video.guard import open_video
from textxfer_mm.video.unreadable import UnreadableVideoError


@dataclass(frozen=True)
class Timeline:
    """What happens when in a video.

    Attributes:
        video: The path of the file.
        class_names: K names.
        window: Length of a window, in seconds.
        stride: From one window to the next, in seconds.
        threshold: The least score of a label in a segment.
        starts: Where the windows begin (W,), in seconds.
        ends: Where they end (W,), in seconds.
        scores: Scores (W, K) of the windows, smoothed if that was asked for.
        segments: The segments, by start.
        frames: Number of frames of the video.
        encoded: Number of frames that were encoded; of backbones that mix frames, those of all windows.
        notes: What must be known beside it, one sentence each.
    """

    video: str
    class_names: tuple[str, ...]
    window: float
    stride: float
    threshold: float
    starts: np.ndarray = field(repr=False)
    ends: np.ndarray = field(repr=False)
    scores: np.ndarray = field(repr=False)
    segments: tuple[Segment, ...]
    frames: int
    encoded: int
    notes: tuple[str, ...]

    @cached_property
    def edges(self) -> np.ndarray:
        """Borders (W + 1,) between the parts of the video that the windows stand for, in seconds."""
        return cell_edges(self.starts, self.ends)


class FrameBuffer:
    """What is kept of frames while windows need it.

    Attributes:
        peak: The most frames that were kept at once.
    """

    def __init__(self) -> None:
        self._kept: dict[int, Tensor] = {}  # by number, increasing
        self.peak = 0

    def put(self, numbers: Iterable[int], values: Iterable[Tensor]) -> None:
        """Keep frames; their numbers are larger than those before."""
        self._kept.update(zip(numbers, values, strict=True))
        self.peak = max(self.peak, len(self._kept))

    def take(self, numbers: Iterable[int]) -> list[Tensor]:
        """Frames by number."""
        return [self._kept[number] for number in numbers]

    def drop_before(self, number: int) -> None:
        """Forget the frames before a number."""
        for old in [kept for kept in self._kept if kept < number]:
            del self._kept[old]


def timeline(
    model: nn.Module,
    video: str | Path,
    *,
    window: float | None = None,
    stride: float | None = None,
    threshold: float | None = None,
    smoothing: float = 0.0,
    min_length: float = 0.0,
    batch_size: int = 16,
    progress: Callable[[int, int], None] | None = None,
) -> Timeline:
    """Score windows that slide over a video, and find the segments of each label.

    The score of a window is that which :func:`~textxfer_mm.apis.predict_videos` gives for its frames alone. The memory
    that frames take does not grow with the length of the video; its index takes some ten bytes a frame, and scores
    4 K bytes a window.

    Args:
        model: What :func:`~textxfer_mm.apis.load_recognizer` returned.
        video: Path of a video.
        window: Length of a window, in seconds; None takes the model's own
            (:func:`~textxfer_mm.apis.timelines.windows.own_window`).
        stride: From one window to the next, in seconds; None takes half a window.
        threshold: The least score of a label, 0 to 1; below it there is none of these. None takes 0 for models with one
            label at a time, and 0.5 for those with several.
        smoothing: Scores are averaged over so many seconds.
        min_length: Segments that are shorter, in seconds, go to a neighbour.
        batch_size: Frames that go through the backbone at once, of one window at least where it takes windows whole.
        progress: Called with the number of finished windows and the number of all.

    Raises:
        UserError: An option is wrong, the file is no video or cannot be decoded, or the scores are not finite.
    """
    require_seconds(window, 'window')
    require_seconds(stride, 'stride')
    require_threshold(threshold, 'threshold')
    require_seconds(smoothing, 'smoothing', may_be_zero=True)
    require_seconds(min_length, 'min_length', may_be_zero=True)
    if is_image(video):
        raise UserError(f'{video} is an image, which has no timeline: give a video.')
    with in_scope(model.cfg):
        encoder = encoder_of(model)
        try:
            plan = Plan(str(video), encoder, window, stride)
            scores = _score_windows(plan, encoder, batch_size, progress)
        except UnreadableVideoError as error:
            raise CorruptVideoError(str(video), str(error)) from error
    refuse_non_finite_scores(torch.from_numpy(scores), str(video))
    names = told_apart(labels_of(model, scores.shape[1]), getattr(rows_of(model), 'glosses', ()))
    several = has_several_labels(head_module(model))
    if threshold is None:
        threshold = 0.5 if several else 0.0
    windows = plan.windows
    if smoothing:
        scores = smooth(scores, (windows.starts + windows.ends) / 2, smoothing).astype(np.float32)
    edges = cell_edges(windows.starts, windows.ends)
    segments = find_segments(scores, edges, names, threshold=threshold, min_length=min_length, several=several)
    return Timeline(
        video=str(video),
        class_names=names,
        window=plan.window,
        stride=plan.stride,
        threshold=threshold,
        starts=windows.starts,
        ends=windows.ends,
        scores=scores,
        segments=tuple(segments),
        frames=plan.frames,
        encoded=len(plan.wanted) if encoder.shares_frames else plan.sampled,
        notes=tuple(plan.notes),
    )


class Plan:
    """Which windows there are, and which frames of the video each takes.

    Args:
        video: Path of the file.
        encoder: The model.
        window: Length of a window in seconds, or None.
        stride: From one to the next in seconds, or None.
    """

    def __init__(self, video: str, encoder: Encoder, window: float | None, stride: float | None) -> None:
        self.notes: list[str] = []
        self.reader = open_video(video, num_threads=0)
        self.frames = len(self.reader)
        seconds = self.reader.seconds()
        self._rate = self.reader.facts.frame_rate or 1 / max(length_of(seconds, 0) - seconds[-1], 1e-6)
        own, own_stride, steps = own_window(encoder.sampling, self._rate)
        self.window = own if window is None else window
        self.stride = stride or (own_stride if window is None else window / 2)
        if self.stride < 0.999 / self._rate:
            raise UserError(
                f'stride {self.stride:g} is less than a frame of {video} takes ({1 / self._rate:.3g} s): give more.'
            )
        self._sample = Compose(encoder.sampling if window is not None else steps)
        duration = length_of(seconds, self.reader.facts.frame_rate)
        if self.window > duration - seconds[0] + 1e-6:
            self.notes.append(
                f'The video is {duration - seconds[0]:.2f} s long, shorter than the window of {self.window:.2f} s: it '
                'is one window.'
            )
            self.window = duration - float(seconds[0])
        self.windows: Windows = place_windows(seconds, duration, self.window, self.stride)
        self._chosen: dict[int, tuple[np.ndarray, int]] = {}
        is_wanted, self.sampled = np.zeros(self.frames, dtype=bool), 0
        for index in range(len(self.windows)):
            numbers = self.numbers(index)[0]
            is_wanted[numbers] = True
            self.sampled += len(numbers)
        self.wanted = np.flatnonzero(is_wanted)
        if not encoder.shares_frames:
            self.notes.append(
                'The backbone mixes frames: windows were encoded whole, and frames as often as they lie in one.'
            )

    def numbers(self, index: int) -> tuple[np.ndarray, int]:
        """The frames of a window in the order in which the model takes them, and the number T of a clip."""
        first, count = self.windows.first[index], int(self.windows.last[index] - self.windows.first[index])
        if count not in self._chosen:
            about = dict(total_frames=count, avg_fps=self._rate, start_index=0, modality='RGB')
            found = self._sample(about)
            self._chosen[count] = np.asarray(found['frame_inds']).reshape(-1), found['clip_len']
        chosen, clip_len = self._chosen[count]
        return first + chosen, clip_len


def _score_windows(
    plan: Plan, encoder: Encoder, batch_size: int, progress: Callable[[int, int], None] | None
) -> np.ndarray:
    """Scores (W, K): frames are decoded, encoded, scored as soon as a window has all of its own, and forgotten."""
    buffer, scores, total = FrameBuffer(), [], len(plan.windows)
    done = damaged = 0
    for frames in _batches(plan.reader.stream(plan.wanted), batch_size):
        damaged += sum(frame.is_stand_in for frame in frames)
        buffer.put((frame.number for frame in frames), encoder.encode([frame.pixels for frame in frames]))
        newest = frames[-1].number
        ready = []
        while done + len(ready) < total and plan.numbers(done + len(ready))[0].max() <= newest:
            ready.append(plan.numbers(done + len(ready)))
        at_once = batch_size if encoder.shares_frames else batch_size // len(plan.numbers(done)[0])
        for part in _batches(iter(ready), max(at_once, 1)):
            found = encoder.score([buffer.take(numbers.tolist()) for numbers, _ in part], part[0][1])
            scores.append(found.float().cpu().numpy())
            done += len(part)
            if progress:
                progress(done, total)
        if done < total:
            buffer.drop_before(int(plan.windows.first[done]))
    if damaged:
        plan.notes.append(f'{damaged} frames are damaged: the last one before takes the place of each.')
    return np.concatenate(scores)


def _batches(items: Iterator[Any], size: int) -> Iterator[Sequence[Any]]:
    while batch := list(islice(items, size)):
        yield batch
