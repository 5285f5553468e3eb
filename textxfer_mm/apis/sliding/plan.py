"""Which frames the windows over a video take, and the one loop over them: decoded once, encoded once, forgotten."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from mmengine.dataset import Compose
from torch import Tensor

from textxfer_mm.apis.sliding.encoders import Encoder
from textxfer_mm.apis.sliding.windows import Windows, length_of, own_window, place_windows
from textxfer_mm.errors import UserError
from textxfer_mm.video.guard import open_video
from textxfer_mm.video.reader import Shown


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

    def read(self) -> Iterator[Shown]:
        """Decode the wanted frames, in one go."""
        return self.reader.stream(self.wanted)

    def numbers(self, index: int) -> tuple[np.ndarray, int]:
        """The frames of a window in the order in which the model takes them, and the number T of a clip."""
        first, count = self.windows.first[index], int(self.windows.last[index] - self.windows.first[index])
        if count not in self._chosen:
            about = dict(total_frames=count, avg_fps=self._rate, start_index=0, modality='RGB')
            found = self._sample(about)
            self._chosen[count] = np.asarray(found['frame_inds']).reshape(-1), found['clip_len']
        chosen, clip_len = self._chosen[count]
        return first + chosen, clip_len


def over_windows(
    plan: Any,
    frames: Iterable[Shown],
    encoder: Encoder,
    make: Callable[[Sequence[Sequence[Tensor]], int], Tensor],
    batch_size: int,
) -> Iterator[Tensor]:
    """Make something of each window: frames are encoded, used as soon as a window has all of its own, and forgotten.

    Args:
        plan: A :class:`Plan`, or what has ``windows``, ``numbers`` and ``notes`` as it has.
        frames: The frames that the windows take, in their order.
        encoder: The model.
        make: Its ``score`` or ``embed``.
        batch_size: Frames that go through the backbone at once, of one window at least where it takes windows whole.

    Yields:
        Tensors (n, ...) of the next n windows, float32 on the CPU.
    """
    buffer, total, frames = FrameBuffer(), len(plan.windows), iter(frames)
    done = damaged = 0
    while batch := list(islice(frames, batch_size)):
        damaged += sum(frame.is_stand_in for frame in batch)
        buffer.put((frame.number for frame in batch), encoder.encode([frame.pixels for frame in batch]))
        newest = batch[-1].number
        ready = []
        while done + len(ready) < total and plan.numbers(done + len(ready))[0].max() <= newest:
            ready.append(plan.numbers(done + len(ready)))
        at_once = batch_size if encoder.shares_frames else batch_size // len(plan.numbers(done)[0])
        waiting = iter(ready)
        while part := list(islice(waiting, max(at_once, 1))):
            yield make([buffer.take(numbers.tolist()) for numbers, _ in part], part[0][1]).float().cpu()
            done += len(part)
        if done < total:
            buffer.drop_before(int(plan.windows.first[done]))
    if damaged:
        plan.notes.append(f'{damaged} frames are damaged: the last one before takes the place of each.')
