"""Figures that need no display and are written in one piece."""

import io
import os
import unicodedata
import warnings
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

from textxfer_mm.errors import shown
from textxfer_mm.files import replacing

#: The most letters of a name beside a figure; one that is longer would leave no room for it.
_LETTERS = 60
_DPI = 120
#: Keywords of texts in which `$` is what it is, and begins no formula.
AS_WRITTEN = dict(parse_math=False)


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, independent of pyplot and of the display; the sizes are in inches."""
    figure = Figure(figsize=(width, height), layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def labels(names: Iterable[str]) -> list[str]:
    """Names as they are written beside a figure: control characters escaped, long ones cut."""
    return [shown(name, _LETTERS) for name in names]


def shortened(name: object, width: int) -> str:
    """A name with an ellipsis in the place of what is too long; the letters of Chinese and its kin count twice.

    Args:
        name: The name; control characters are escaped.
        width: The most letters, the ellipsis among them.
    """
    text = shown(name, None)
    ends, end = [], 0
    for letter in text:
        end += 2 if unicodedata.east_asian_width(letter) in 'WF' else 1
        ends.append(end)
    return text if end <= width else text[: sum(place < width for place in ends)].rstrip() + '\u2026'


def save_figure(figure: Figure, path: str | os.PathLike) -> Path:
    """Write a figure as PNG; the file appears whole or not at all."""
    with replacing(path) as part:
        _write(figure, part)
    return Path(path)


def png_of(figure: Figure) -> bytes:
    """A figure as PNG in memory."""
    file = io.BytesIO()
    _write(figure, file)
    return file.getvalue()


def _write(figure: Figure, file: Any) -> None:
    """Write a figure as PNG, in fonts that have its letters where there are any.

    What no font has becomes boxes. Matplotlib would warn of each such letter, and so tell the log of a server what its
    visitors write.
    """
    texts = figure.findobj(Text)
    letters = frozenset(letter for text in texts for letter in text.get_text() if not letter.isspace())
    families = families_for(letters)
    for text in texts if families else ():
        text.set_fontfamily([*text.get_fontfamily(), *families])
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message=r'Glyph \d+ .* missing from')
        figure.savefig(file, format='png', dpi=_DPI)


@lru_cache(maxsize=256)
def families_for(letters: frozenset[str]) -> tuple[str, ...]:
    """The installed fonts that have letters which matplotlib's own font lacks; none where it has all."""
    missing = _lacking(findfont(FontProperties(family=matplotlib.rcParams['font.family'])), letters)
    found = []
    for font in fontManager.ttflist:
        if not missing:
            break
        if font.style != 'normal' or 'last resort' in font.name.lower():  # which has a box for each letter
            continue
        left = _lacking(font.fname, missing)
        if left != missing:
            found.append(font.name)
            missing = left
    return tuple(found)


def _lacking(file: str, letters: frozenset[str]) -> frozenset[str]:
    """The letters that a font has not; all, where it cannot be read."""
    try:
        font = FT2Font(file)
    except (OSError, RuntimeError):
        return letters
    return frozenset(letter for letter in letters if not font.get_char_index(ord(letter)))
