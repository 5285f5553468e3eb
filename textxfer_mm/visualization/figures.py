"""Figures that need no display and are written in one piece."""

import os
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from textxfer_mm.files import replacing


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, independent of pyplot and of the display; the sizes are in inches."""
    figure = Figure(figsize=(width, height), layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: str | os.PathLike) -> Path:
    """Write a figure as PNG; the file appears whole or not at all."""
    with replacing(path) as part:
        figure.savefig(part, format='png', dpi=120)
    return Path(path)
