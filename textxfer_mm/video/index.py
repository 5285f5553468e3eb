"""The index of a video file: which frames it shows, and where decoding can start. Nothing is decoded for it."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np

from textxfer_mm.video.display_order import display_order
from textxfer_mm.video.streams import demux, open_container, video_stream
from textxfer_mm.video.unreadable import UnreadableVideoError, read_head

#: The packets of larger files are read again where they are needed instead of being kept, in bytes.
KEPT_BYTES = 64 * 2**20
#: A start after more seconds is that of a wall clock; decord aborts the process on it.
MAX_START = 10**6
#: Containers whose packets carry the times at which their frames are shown. Those of AVI do not.
_TIMED = ('mov', 'matroska', 'mpegts', 'mpeg', 'flv', 'asf', 'ogg', 'nut', 'mxf', 'ivf', 'obu')
#: Containers of ordinary files.
_COMMON = ('mov', 'matroska', 'avi', 'mpegts', 'mpeg', 'flv', 'asf', 'gif')


@dataclass(frozen=True)
class VideoFacts:
    """What the index of a file says.

    Attributes:
        container: Name of the demuxer, such as ``'mov'`` or ``'avi'``.
        codec: Name of the codec, such as ``'h264'``.
        width: Width of a coded frame, in pixels; the shown one may be turned.
        height: Height of a coded frame, in pixels.
        frame_rate: Frames a second on average; 0 where the file does not say.
        frames: Number of frames that can be shown.
        declared: Number of frames that the header declares; 0 where it does not say.
        seeking: What makes seeking by the number of a frame go wrong, as decord does it; '' where it is right.
        is_plain: Whether the file is of a common kind, whole, and shows all that it holds.
    """

    container: str
    codec: str
    width: int
    height: int
    frame_rate: float
    frames: int
    declared: int
    seeking: str
    is_plain: bool


class VideoIndex:
    """An opened video with its packets in the order of decoding.

    Attributes:
        stream: The video stream.
        facts: What is known of the file.
        times: Sorted times of the shown frames in units of the stream; None where the file does not tell them, so that
            frames must be counted from the beginning.
        entries: Positions of the packets at which decoding can start, with their times, both increasing.

    Args:
        source: Path or content of the file.
        num_threads: Threads that decode; 0 lets FFmpeg choose.

    Raises:
        UnreadableVideoError: There is no video in it, or nothing to show.
    """

    def __init__(self, source: str | bytes, num_threads: int = 1) -> None:
        self._source = source
        self._container = open_container(source)
        try:
            self.stream = video_stream(self._container)
            self.stream.codec_context.thread_count = num_threads
            self._read()
        except BaseException:
            self._container.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def time(self, number: int) -> int:
        """The time of a frame by its number, in the units of :attr:`entries`."""
        return number if self.times is None else int(self.times[number])

    def number(self, frame: av.VideoFrame, count: int) -> int:
        """The number of a decoded frame; -1 where it is none of those shown.

        Args:
            frame: The frame.
            count: How many came out since decoding started.
        """
        if self.times is None:
            return count
        if frame.pts is None:
            return -1
        number = int(np.searchsorted(self.times, frame.pts))
        return number if number < len(self.times) and self.times[number] == frame.pts else -1

    def seconds(self) -> np.ndarray:
        """When each frame is shown (n,), in seconds since the file begins; increasing, float64.

        They are the stream's own times, or numbers by the frame rate where the file tells none (AVI).

        Raises:
            UnreadableVideoError: The file tells neither times nor a frame rate.
        """
        if self.times is not None and not self._is_numbered:
            begin = (self._container.start_time or 0) / av.time_base
            first = float(self.times[0] * self.stream.time_base)
            return (self.times - self.times[0]) * float(self.stream.time_base) + max(first - begin, 0.0)
        if not self.facts.frame_rate:
            raise UnreadableVideoError('it tells neither the times of its frames nor a frame rate')
        return (np.arange(self.facts.frames) if self.times is None else self.times) / self.facts.frame_rate

    def correct(self, frames: int) -> None:
        """Set the number of frames to those that could be decoded, where packets alone do not tell it.

        Raises:
            UnreadableVideoError: There are none.
        """
        if not frames:
            raise UnreadableVideoError('damaged: no frame can be decoded')
        self.facts = dataclasses.replace(self.facts, frames=frames)

    def packets(self, start: int) -> Iterator[av.Packet]:
        """The packets from a position on."""
        if self._kept is not None:
            yield from self._kept[start:]
            return
        with open_container(self._source) as container:
            for position, packet in enumerate(demux(container, video_stream(container))):
                if position >= start:
                    yield packet

    def _read(self) -> None:
        """Read the packets once."""
        times, keys, shown, kept_bytes = [], [], [], 0
        self._kept: list[av.Packet] | None = []
        is_sound = True
        try:
            for packet in demux(self._container, self.stream):
                times.append(packet.pts)
                keys.append(packet.is_keyframe)
                shown.append(not packet.is_discard)
                is_sound = is_sound and not packet.is_corrupt
                kept_bytes += packet.size
                if kept_bytes > KEPT_BYTES:
                    self._kept = None
                elif self._kept is not None:
                    self._kept.append(packet)
        except av.FFmpegError:  # what was read until here can be shown
            is_sound = False
        if not any(shown):
            raise UnreadableVideoError('no frames')
        container = self._container.format.name.partition(',')[0]
        if len(times) < self.stream.frames - 1 and (not is_sound or self._is_cut_avi()):
            raise UnreadableVideoError(
                f'truncated: it holds {len(times)} of the {self.stream.frames} frames it declares'
            )
        numbers = self._numbers() if container == 'avi' and is_sound and keys[0] else None
        self._is_numbered = numbers is not None
        is_timed = container in _TIMED or self._is_numbered
        self._place(numbers or times, keys, shown, is_timed=is_timed)
        self.facts = self._facts(container, times, keys, shown, is_sound=is_sound)

    def _numbers(self) -> list[int] | None:
        """Give the packets of an AVI file the numbers of their frames for times, where these can be told."""
        numbers = display_order(self._kept or (), self.stream.codec_context.codec.canonical_name)
        if numbers is not None:
            for packet, number in zip(self._kept, numbers, strict=True):
                packet.pts = number
        return numbers

    def _is_cut_avi(self) -> bool:
        """Whether this is an AVI file that is shorter than its header says, or its header was never completed."""
        head, size = read_head(self._source)
        return head.startswith(b'RIFF') and not 0 < int.from_bytes(head[4:8], 'little') <= size - 8

    def _place(self, times: list[int | None], keys: list[bool], shown: list[bool], *, is_timed: bool) -> None:
        """Find the times of the frames, and where decoding can start."""
        first = keys.index(True) if True in keys else 0
        seen = [time for time, is_shown in zip(times[first:], shown[first:], strict=True) if is_shown]
        self.times: np.ndarray | None = None
        self.entries: list[tuple[int, int]] = [(first, 0)]
        starts = [time for time, is_start in zip(times, np.logical_and(keys, shown), strict=True) if is_start]
        # Where key frames go back in time, files were put together, or frames are marked as keys that are none.
        is_timed = is_timed and None not in times[first:] and starts == sorted(starts)
        if not is_timed or len(set(seen)) < len(seen) or not seen:
            self._count = len(seen) or sum(shown)
            return
        # Frames that are coded after the first key frame and shown before it lean on one that is not there.
        start = times[first]
        self.times = np.array(sorted(time for time in seen if time >= start) or sorted(seen), dtype=np.int64)
        self._count = len(self.times)
        self.entries = []
        for position in range(first, len(times)):
            if position == first or (keys[position] and times[position] > self.entries[-1][1]):
                self.entries.append((position, times[position]))

    def _facts(
        self, container: str, times: list[int | None], keys: list[bool], shown: list[bool], *, is_sound: bool
    ) -> VideoFacts:
        context = self.stream.codec_context
        rate: Fraction | None = self.stream.average_rate or self.stream.guessed_rate
        seeking = self._seeking_fault(container, context.codec.canonical_name, times, keys, shown)
        return VideoFacts(
            container=container,
            codec=context.codec.canonical_name,
            width=context.width,
            height=context.height,
            frame_rate=float(rate or 0),
            frames=self._count,
            declared=self.stream.frames,
            seeking=seeking,
            is_plain=is_sound and container in _COMMON and self._count == len(times) >= self.stream.frames - 1,
        )

    def _seeking_fault(
        self, container: str, codec: str, times: list[int | None], keys: list[bool], shown: list[bool]
    ) -> str:
        """Why a reader that takes the n-th packet for the n-th frame goes wrong when it seeks."""
        if not all(shown):
            return 'cut without re-encoding: it holds frames that are not shown'
        if not keys[0]:
            return 'it does not begin with a key frame'
        if times[0] is not None and abs(times[0] * self.stream.time_base) > MAX_START:
            return 'times that begin far from zero'
        if sum(keys) == 1 and container != 'mpegts':
            return ''
        if self.times is None or container not in ('mov', 'matroska', 'flv'):
            may_reorder = codec != 'mpeg4' or self.stream.codec_context.has_b_frames
            is_right = container == 'avi' and (all(keys) or not may_reorder)
            return '' if is_right else f'its container ({container}) does not tell the times of frames exactly'
        order = np.array(times)
        before = np.maximum.accumulate(order)
        after = np.minimum.accumulate(order[::-1])[::-1]
        starts = np.flatnonzero(keys)
        is_closed = (order[starts] == after[starts]) & (order[starts] == before[starts])
        return '' if is_closed.all() else 'open groups of pictures: frames shown before a key frame are coded after it'
