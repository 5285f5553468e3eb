"""Figures that need no display and are written in one piece."""

import io
import os
from collections.abc import Iterable
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

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


def save_figure(figure: Figure, path: str | os.PathLike) -> Path:
    """Write a figure as PNG; the file appears whole or not at all."""
    with replacing(path) as part:
        figure.savefig(part, format='png', dpi=_DPI)
    return Path(path)


def png_of(figure: Figure) -> bytes:
    """A figure as PNG in memory."""
    file = io.BytesIO()
    figure.savefig(file, format='png', dpi=_DPI)
    return file.getvalue()
