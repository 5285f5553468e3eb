"""Letters in pictures, in a font that Matplotlib brings."""

import functools
from pathlib import Path

from matplotlib import get_data_path
from PIL import ImageFont


@functools.lru_cache
def font_of(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which Matplotlib brings."""
    return ImageFont.truetype(str(Path(get_data_path()) / 'fonts' / 'ttf' / 'DejaVuSans.ttf'), size)


def fitting(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """A text, cut to a width."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f'{text}…') > width:
        text = text[:-1]
    return f'{text}…'
