"""The most confident mistakes, each with its middle frame as a picture."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from textxfer_mm.apis.folder_training.videos import LabelledVideos
from textxfer_mm.files import replacing
from textxfer_mm.video.reader import VideoReader
from textxfer_mm.video.unreadable import UnreadableVideoError

MISTAKES = 'mistakes'
_MISTAKES = 12
_THUMBNAIL = (192, 192)


def confident_mistakes(
    out: Path, videos: LabelledVideos, index: np.ndarray, scores: np.ndarray, labels: np.ndarray
) -> list[dict[str, Any]]:
    """The videos that were given the wrong class with the highest scores, each with its middle frame as a picture."""
    chosen = scores.argmax(1)
    wrong = np.flatnonzero(chosen != labels)
    wrong = wrong[np.argsort(-scores[wrong, chosen[wrong]], kind='stable')][:_MISTAKES]
    made = []
    for number, row in enumerate(wrong, 1):
        file = videos.files[index[row]]
        picture = f'{MISTAKES}/{number:02d}.jpg'
        said, true = (videos.class_names[label] for label in (chosen[row], labels[row]))
        entry = dict(video=file, predicted=said, score=float(scores[row, chosen[row]]), true=true)
        with suppress(UnreadableVideoError, OSError, IndexError):  # it was read before, and may be gone since
            _write_thumbnail(file, out / picture)
            entry['thumbnail'] = picture
        made.append(entry)
    return made


def _write_thumbnail(file: str, path: Path) -> None:
    """Write the middle frame of a video."""
    reader = VideoReader(file)
    try:
        image = Image.fromarray(reader.read([len(reader) // 2])[0])
    finally:
        reader.close()
    image.thumbnail(_THUMBNAIL)
    with replacing(path) as part:
        image.save(part, quality=85)
