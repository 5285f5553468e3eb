"""Letters in pictures, in a font that Matplotlib brings."""

import functools
from pathlib import Path

from matplotlib import get_data_path
from PIL import ImageFont


@functools.lru_cache
def font_of(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which Matplotlib brings."""
    return ImageFont.truetype(str(Path(get_data_path()) / 'fonts' / 'ttf' / 'DejaVuSans.ttf'), size)


def fitting(text: str, font: ImageFont.FreeTypeFont, width: float, *, keep_end: bool = False) -> str:
    """A text, cut to a width: of a path the end is kept, which tells it from others."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f'{text}…') > width:
        text = text[1:] if keep_end else text[:-1]
    return f'…{text}' if keep_end else f'{text}…'
