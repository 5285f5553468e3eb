"""A whole video decoded, to see what it is worth."""

from dataclasses import dataclass

import av

from textxfer_mm.video.index import VideoFacts
from textxfer_mm.video.reader import VideoReader
from textxfer_mm.video.unreadable import UnreadableVideoError


@dataclass(frozen=True)
class Examination:
    """What became of decoding all frames of a video.

    Attributes:
        facts: What its index says; None where there is no video.
        decoded: Frames that came out.
        damaged: How many of them the decoder had to repair, and packets that gave none.
        reason: Why there is no video; '' where there is one.
    """

    facts: VideoFacts | None
    decoded: int = 0
    damaged: int = 0
    reason: str = ''


def examine(source: str | bytes) -> Examination:
    """Decode all frames of a video.

    Args:
        source: Path or content of the file.
    """
    try:
        reader = VideoReader(source)
        decoded, damaged = reader.count()
    except (UnreadableVideoError, av.FFmpegError) as error:
        return Examination(None, reason=str(error))
    if not decoded:
        return Examination(None, reason='damaged: no frame can be decoded')
    return Examination(reader.facts, decoded, damaged)
