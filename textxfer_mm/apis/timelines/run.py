"""The scores of windows over a video of any length, and the segments that they make."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import nn

from textxfer_mm.apis.sliding import Encoder, Plan, encoder_of, over_windows
from textxfer_mm.apis.timelines.segments import Segment, cell_edges, find_segments, smooth
from textxfer_mm.datasets.transforms_video import CorruptVideoError
from textxfer_mm.engine.classes import labels_of, rows_of
from textxfer_mm.engine.finite import refuse_non_finite_scores
from textxfer_mm.engine.frameworks import has_several_labels, head_module, in_scope
from textxfer_mm.errors import UserError
from textxfer_mm.inputs import is_image, require_seconds, require_threshold
from textxfer_mm.text.glosses.table import told_apart
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
            (:func:`~textxfer_mm.apis.sliding.windows.own_window`).
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


def _score_windows(
    plan: Plan, encoder: Encoder, batch_size: int, progress: Callable[[int, int], None] | None
) -> np.ndarray:
    """Scores (W, K)."""
    scores, done = [], 0
    for found in over_windows(plan, plan.read(), encoder, encoder.score, batch_size):
        scores.append(found.numpy())
        done += len(found)
        if progress:
            progress(done, len(plan.windows))
    return np.concatenate(scores)
