"""The frames that were asked for, of any file that FFmpeg reads."""

import bisect
import itertools
from collections.abc import Container, Iterator, Sequence
from typing import NamedTuple

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from textxfer_mm.video.index import VideoFacts, VideoIndex
from textxfer_mm.video.orientation import turn_of
from textxfer_mm.video.unreadable import UnreadableVideoError

#: Codecs that mark frames which no other leans on, so that leaving these out changes no pixel of the others.
_MARKS_UNUSED = ('h264', 'mpeg1video', 'mpeg2video', 'mpeg4')


class Shown(NamedTuple):
    """A frame of :meth:`VideoReader.stream`.

    Attributes:
        number: Its number.
        pixels: RGB (H, W, 3), uint8.
        is_stand_in: Whether it is another one, which takes the place of a damaged frame.
    """

    number: int
    pixels: np.ndarray
    is_stand_in: bool


class VideoReader:
    """Decodes frames by their number in the order in which they are shown.

    Decoding starts at the last key frame from which a frame can be had, and a frame is recognised by its time, so that
    B frames, open groups of pictures and clips cut without re-encoding give what was asked for. Where a file does not
    tell the times of its frames (AVI), they are counted from the beginning. Frames are upright as the file asks for.

    Args:
        source: Path or content of the file.
        num_threads: Threads that decode; 0 lets FFmpeg choose.
        index: The index of the file, where it has been read.

    Raises:
        UnreadableVideoError: There is no video in the file, or nothing to show.
    """

    def __init__(self, source: str | bytes, num_threads: int = 1, index: VideoIndex | None = None) -> None:
        self._index = index or VideoIndex(source, num_threads)
        self._reformatter = VideoReformatter()
        self._failed = 0  # packets that could not be decoded
        is_told = self.facts.is_plain and not self._index.stream.codec_context.codec.reorder
        if self._index.times is None and not is_told:
            self._index.correct(self.count()[0])

    @property
    def facts(self) -> VideoFacts:
        """What is known of the file."""
        return self._index.facts

    def __len__(self) -> int:
        return self._index.facts.frames

    def close(self) -> None:
        """Close the file."""
        self._index.close()

    def read(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Decode frames.

        Args:
            indices: Numbers (n,) of frames from 0, in any order, also repeated.

        Returns:
            RGB pixels (n, H, W, 3), uint8.

        Raises:
            UnreadableVideoError: One of them cannot be decoded, nor one beside it.
            IndexError: There is no such frame.
        """
        asked = np.asarray(indices, dtype=np.int64).reshape(-1)
        if len(asked) == 0 or asked.min() < 0 or asked.max() >= len(self):
            raise IndexError(f'the video has frames 0 to {len(self) - 1}, not all of {asked.tolist()}')
        unique, inverse = np.unique(asked, return_inverse=True)
        return self._pixels(self._decode_all(unique.tolist()))[inverse]

    def seconds(self) -> np.ndarray:
        """When each frame is shown (n,), see :meth:`VideoIndex.seconds`."""
        return self._index.seconds()

    def stream(self, numbers: np.ndarray) -> Iterator[Shown]:
        """Decode frames in one go from the beginning, holding one at a time.

        The last frame before a damaged one takes its place, or else the first one after it.

        Args:
            numbers: Increasing numbers (n,) of the wanted frames.

        Raises:
            UnreadableVideoError: There is nothing to stand in for a damaged frame.
        """
        may_skip = self._index.times is not None and self.facts.codec in _MARKS_UNUSED
        needed = _Sorted(self._index.times[numbers]) if may_skip else None
        asked, first, last = iter(numbers.tolist()), None, None
        number = next(asked, None)
        for shown, frame in itertools.chain.from_iterable(self._decoded(self._index.entries[0][0], needed)):
            first = first or frame
            while number is not None and number <= shown:
                found = frame if number == shown or last is None else last
                yield Shown(number, self._pixels([found], first)[0], number != shown)
                number = next(asked, None)
            if number is None:
                return
            last = frame if shown >= 0 else last
        while number is not None:
            if last is None:
                raise UnreadableVideoError(f'damaged: frame {number} of {len(self)} cannot be decoded')
            yield Shown(number, self._pixels([last], first)[0], True)
            number = next(asked, None)

    def count(self) -> tuple[int, int]:
        """Decode everything.

        Returns:
            How many frames came out, and how many of them are repaired, packets that could not be decoded included.
        """
        failed_before, decoded, repaired = self._failed, 0, 0
        for frames in self._decoded(self._index.entries[0][0]):
            decoded += len(frames)
            repaired += sum(frame.is_corrupt for _, frame in frames)
        return decoded, repaired + self._failed - failed_before

    def _decode_all(self, wanted: list[int]) -> list[av.VideoFrame]:
        """The frames of increasing numbers; one beside takes the place of a frame that is not there."""
        entries = self._index.entries
        held = self._decode(wanted, entries, in_haste=True)
        missing = [number for number in wanted if number not in held]
        if missing:  # damage, or gradual refresh: not every key frame gives a whole picture at once
            held |= self._decode(missing, entries[:1], in_haste=False)
        found = [held.get(number, held.get(number - 1, held.get(number + 1))) for number in wanted]
        if None in found:
            number = wanted[found.index(None)]
            raise UnreadableVideoError(f'damaged: frame {number} of {len(self)} cannot be decoded')
        return found

    def _decode(self, wanted: list[int], entries: list[tuple[int, int]], *, in_haste: bool) -> dict[int, av.VideoFrame]:
        """Decode frames by number, and keep those beside them.

        Args:
            wanted: Increasing numbers.
            entries: Where decoding may start.
            in_haste: Leaves out frames that were not asked for and that no other leans on, where the codec says so.
        """
        may_skip = in_haste and self._index.times is not None and self.facts.codec in _MARKS_UNUSED
        needed = {self._index.time(number) for number in wanted} if may_skip else None
        starts = [time for _, time in entries]
        near = {number + step for number in wanted for step in (-1, 0, 1)}
        held: dict[int, av.VideoFrame] = {}
        position, latest, decoded = -1, -1, iter(())
        for number in wanted:
            entry = entries[max(bisect.bisect_right(starts, self._index.time(number)) - 1, 0)][0]
            if entry > position:
                position, latest, decoded = entry, -1, self._decoded(entry, needed)
            while latest < number:
                frames = next(decoded, None)
                if frames is None:
                    break
                position += 1
                for shown, frame in frames:
                    latest = max(latest, shown)
                    if shown in near:
                        held[shown] = frame
        return held

    def _decoded(self, start: int, needed: Container[int] | None = None) -> Iterator[list[tuple[int, av.VideoFrame]]]:
        """Decode from an entry on: the frames that come out after each packet, with their numbers.

        Args:
            start: Position of the first packet.
            needed: Times of frames that must come out; None stands for all.
        """
        context = self._index.stream.codec_context
        context.flush_buffers()
        count = 0
        for packet in itertools.chain(self._index.packets(start), [None]):
            try:
                is_needed = needed is None or packet is None or packet.pts in needed
                context.skip_frame = 'DEFAULT' if is_needed else 'NONREF'
                frames = context.decode(packet)
            except av.FFmpegError:  # a damaged packet; the next may be whole
                self._failed += 1
                frames = []
            numbers = [self._index.number(frame, count + i) for i, frame in enumerate(frames)]
            count += len(frames)
            yield list(zip(numbers, frames, strict=True))

    def _pixels(self, frames: list[av.VideoFrame], model: av.VideoFrame | None = None) -> np.ndarray:
        """The pixels (n, H, W, 3) of frames, all as large as a model, by default the first, and upright."""
        model = model or frames[0]
        width, height, turn = model.width, model.height, turn_of(model)
        try:
            images = [self._reformatter.reformat(f, width, height, 'rgb24').to_ndarray() for f in frames]
        except (av.FFmpegError, ValueError) as error:
            raise UnreadableVideoError(f'its pixels ({frames[0].format.name}) cannot be made RGB') from error
        return np.stack(images if turn is None else [turn(image) for image in images])


class _Sorted:
    """Sorted numbers, of which it is asked whether one is among them; a set of many would take ten times the memory."""

    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    def __contains__(self, value: int | None) -> bool:
        if value is None:
            return False
        place = int(np.searchsorted(self._values, value))
        return place < len(self._values) and self._values[place] == value
