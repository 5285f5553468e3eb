"""Videos and images with what was recognised drawn into them: MP4 that browsers play (H.264), and PNG."""

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw

from textxfer_mm.apis.predictions import VideoPrediction
from textxfer_mm.errors import UserError, shown
from textxfer_mm.files import replacing
from textxfer_mm.inputs import is_image
from textxfer_mm.video.guard import open_video
from textxfer_mm.video.stills import read_image
from textxfer_mm.video.unreadable import UnreadableVideoError
from textxfer_mm.visualization.lettering import fitting, font_of

#: Ticks a second of the times of frames.
_TICKS = 90_000


def labelled_paths(folder: Path, files: Sequence[Path], below: Sequence[str]) -> list[Path]:
    """Where the labelled copies of files go: below a folder as they lie below theirs, each its own.

    Of files that differ by their suffix alone, the others keep it: ``a.mp4`` and ``a.avi.mp4``.

    Args:
        folder: The folder of the copies.
        files: Videos and images.
        below: The path of each below the folder that was named.

    Raises:
        UserError: A copy would take the place of a file.
    """
    originals = {file.resolve() for file in files}
    names = [folder / Path(*(part for part in Path(name).parts if part not in ('..', '/'))) for name in below]
    suffixes = ['.png' if is_image(file) else '.mp4' for file in files]
    times = Counter(name.with_suffix(suffix) for name, suffix in zip(names, suffixes, strict=True))
    taken: set[Path] = set()
    paths = []
    for name, suffix in zip(names, suffixes, strict=True):
        path = name.with_suffix(suffix)
        if times[path] > 1 and name.suffix.lower() != suffix:
            path = name.with_name(name.name + suffix)
        wanted, number = path, 2
        while path in taken:
            path = wanted.with_stem(f'{wanted.stem} ({number})')
            number += 1
        if path.resolve() in originals:
            raise UserError(f'--save-video {shown(folder)} would write over {shown(path)}: give another folder.')
        taken.add(path)
        paths.append(path)
    return paths


def save_labelled(prediction: VideoPrediction, path: Path, topk: int = 3) -> None:
    """Write a copy of a video or an image with its best labels and their scores drawn in; the sound is left out.

    Args:
        prediction: What was recognised, of a file.
        path: The copy: ``.mp4`` of a video (H.264, yuv420p), ``.png`` of an image.
        topk: How many labels are drawn, as far as there is room.

    Raises:
        UserError: The file cannot be decoded to its end, or not be written.
    """
    lines = [(shown(name, 80), score) for name, score in prediction.top(topk)]
    if is_image(prediction.video):
        pixels = read_image(prediction.video).copy()
        _Banner(lines, *pixels.shape[:2]).draw(pixels)
        with replacing(path) as part:
            Image.fromarray(pixels).save(part)
        return
    try:
        _save_video(prediction.video, path, lines)
    except UnreadableVideoError as error:
        raise UserError(f'{shown(prediction.video)} gives scores but no labelled copy: {error}.') from error


def _save_video(video: str, path: Path, lines: Sequence[tuple[str, float]]) -> None:
    reader = open_video(video, num_threads=0)
    ticks = np.round(reader.seconds() * _TICKS).astype(np.int64)
    ticks = np.maximum.accumulate(ticks - ticks[0] + 0) + _steps(ticks)
    rate = Fraction(reader.facts.frame_rate or 25).limit_denominator(1001)
    with replacing(path) as part, av.open(str(part), 'w', options=dict(movflags='+faststart')) as container:
        stream, banner = None, None
        for frame in reader.stream(np.arange(len(reader))):
            pixels = _even(frame.pixels)
            if stream is None:
                stream = container.add_stream('libx264', rate=rate, options=dict(preset='veryfast', crf='23'))
                stream.height, stream.width = pixels.shape[:2]
                stream.pix_fmt, stream.codec_context.time_base = 'yuv420p', Fraction(1, _TICKS)
                banner = _Banner(lines, *pixels.shape[:2])
            banner.draw(pixels)
            picture = av.VideoFrame.from_ndarray(pixels, format='rgb24')
            picture.pts, picture.time_base = int(ticks[frame.number]), Fraction(1, _TICKS)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def _steps(ticks: np.ndarray) -> np.ndarray:
    """What to add to times so that each is later than the one before, where several are equal."""
    same = np.diff(ticks, prepend=ticks[0] - 1) <= 0
    run = np.arange(len(ticks)) - np.maximum.accumulate(np.where(same, 0, np.arange(len(ticks))))
    return run


def _even(pixels: np.ndarray) -> np.ndarray:
    """A copy of frames (H, W, 3) with even sides, as yuv420p wants them: the last row or column twice."""
    odd = [(0, side % 2) for side in pixels.shape[:2]]
    return np.pad(pixels, [*odd, (0, 0)], mode='edge') if any(map(any, odd)) else pixels.copy()


class _Banner:
    """Labels and scores, made once for all frames of a video.

    Args:
        lines: Labels with their scores, best first.
        height: Height of the frames.
        width: Width of the frames.
    """

    def __init__(self, lines: Sequence[tuple[str, float]], height: int, width: int) -> None:
        size = max(8, min(height // 16, width // 24))
        font, step, margin = font_of(size), round(1.35 * size), size // 3
        room = max(1, (height - 2 * margin) // step)
        kept = [fitting(f'{score:.2f}  {name}', font, width - 4 * margin) for name, score in lines[:room]]
        box_width = min(width, 4 * margin + round(max((font.getlength(line) for line in kept), default=0)))
        box = Image.new('L', (box_width, min(height, 2 * margin + step * len(kept))), 0)
        draw = ImageDraw.Draw(box)
        for number, line in enumerate(kept):
            draw.text((2 * margin, margin + number * step), line, fill=255, font=font)
        self._letters = np.asarray(box, dtype=np.uint16)[..., None]  # (h, w, 1)

    def draw(self, pixels: np.ndarray) -> None:
        """Draw them into the upper left of a frame (H, W, 3): white on what is below, darkened."""
        part = pixels[: self._letters.shape[0], : self._letters.shape[1]]
        part[:] = part // 3 * (255 - self._letters) // 255 + self._letters
