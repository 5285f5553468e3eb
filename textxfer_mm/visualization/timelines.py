"""A timeline as a picture: the scores of labels over time, and the segments."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from textxfer_mm.errors import UserError
from textxfer_mm.visualization.figures import AS_WRITTEN, labels, new_figure, save_figure, shortened

#: The most labels in a picture, those with the highest scores, and the most columns of scores.
_ROWS, _COLUMNS = 20, 1500
#: The most letters of a label, and how many of an inch of the picture: more would leave no room for the scores.
_LETTERS, _LETTERS_OF_AN_INCH = 40, 4.5
#: The most times on the axis, and how many of an inch of the picture.
_TIMES, _TIMES_OF_AN_INCH = 10, 1.5
#: Shades end at the highest score where it is lower, and else at one.
_LOW = 0.5


def plot_timeline(path: str | os.PathLike, **lines: Any) -> Path:
    """Draw a timeline to a file.

    Args:
        path: PNG file to write.
        lines: What :func:`timeline_figure` takes.

    Raises:
        UserError: The lengths differ, or there is nothing to draw.
    """
    return save_figure(timeline_figure(**lines), path)


def timeline_figure(
    *,
    class_names: Sequence[str],
    edges: np.ndarray,
    scores: np.ndarray,
    segments: Sequence[tuple[str | None, float, float]],
    none_label: str = 'none of these',
    title: str = '',
    width: float = 11,
) -> Figure:
    """Draw one row a label: its scores as shades, its segments as bars below them.

    Of many labels those are drawn that have segments, the longest first, and then those with the highest scores.

    Args:
        class_names: K names.
        edges: Borders (W + 1,) in seconds between what the rows of ``scores`` stand for.
        scores: Scores (W, K), 0 to 1.
        segments: Label, start and end of each, in seconds; None stands for no label, which has a row of its own.
        none_label: How that row is called.
        title: Title of the picture.
        width: Its width in inches.

    Raises:
        UserError: The lengths differ, or there is nothing to draw.
    """
    edges = np.asarray(edges)
    if not len(scores) or scores.shape != (len(edges) - 1, len(class_names)):
        raise UserError(
            f'A timeline needs scores (W, K) for K names between W + 1 borders, and one window at least: got '
            f'{scores.shape} for {len(class_names)} names and {len(edges)} borders.'
        )
    rows = _chosen(class_names, scores, segments)
    has_none = any(label is None for label, _, _ in segments)
    figure = new_figure(width, 1.5 + 0.42 * (len(rows) + has_none))
    axes = figure.subplots()
    shades = _draw_scores(axes, edges, scores[:, rows])
    places = {class_names[row]: place for place, row in enumerate(rows)}
    if has_none:
        places[None] = len(rows)
    for label, start, end in segments:
        if label in places:
            color = 'tab:gray' if label is None else 'tab:orange'
            height, below = (0.5, 0.25) if label is None else (0.22, 0.72)
            axes.broken_barh([(start, end - start)], (places[label] + below, height), color=color, edgecolor='white')
    letters = min(_LETTERS, int(width * _LETTERS_OF_AN_INCH))
    names = [shortened(class_names[row], letters) for row in rows] + ([none_label] if has_none else [])
    axes.set_yticks(np.arange(len(names)) + 0.5, names, **AS_WRITTEN)
    axes.set(xlim=(edges[0], edges[-1]), ylim=(len(names), 0), xlabel=f'time ({_unit(edges[-1])})')
    axes.xaxis.set_major_locator(MaxNLocator(min(_TIMES, int(width * _TIMES_OF_AN_INCH)), steps=[1, 2, 3, 6, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _clock(value, edges[-1])))
    axes.tick_params(axis='y', length=0)
    hidden = len(class_names) - len(rows)
    heading = [*labels([title] if title else []), *([f'{hidden} labels are left out'] if hidden else [])]
    axes.set_title(', '.join(heading), loc='left', fontsize='medium', **AS_WRITTEN)
    bar = 'score' if shades.norm.vmax == 1 else f'score, the highest is {shades.norm.vmax:.2g}'
    figure.colorbar(shades, ax=axes, label=bar, pad=0.01, fraction=0.04)
    return figure


def _chosen(
    class_names: Sequence[str], scores: np.ndarray, segments: Sequence[tuple[str | None, float, float]]
) -> list[int]:
    """The indices of the labels that are drawn, in their own order."""
    lengths = dict.fromkeys(class_names, 0.0)
    for label, start, end in segments:
        if label is not None:
            lengths[label] += end - start
    order = sorted(range(len(class_names)), key=lambda k: (-lengths[class_names[k]], -scores[:, k].max()))
    return sorted(order[:_ROWS])


def _draw_scores(axes: Axes, edges: np.ndarray, scores: np.ndarray) -> QuadMesh:
    """Draw shades (W, rows); of many windows the highest of neighbours, so that no peak is lost.

    Among many labels all scores may be low: then the darkest shade is the highest of them.
    """
    starts = np.arange(0, len(scores), -(-len(scores) // _COLUMNS))
    shown = np.maximum.reduceat(scores, starts, axis=0)
    borders = np.append(edges[starts], edges[-1])
    highest = float(shown.max())
    options = dict(cmap='Blues', vmin=0, vmax=highest if 0 < highest < _LOW else 1)
    mesh = axes.pcolormesh(borders, np.arange(shown.shape[1] + 1), shown.T, **options)
    for row in range(1, shown.shape[1] + 1):
        axes.axhline(row, color='white', linewidth=2)
    return mesh


def _unit(end: float) -> str:
    return 's' if end < 120 else 'min:s' if end < 3600 else 'h:min'


def _clock(value: float, end: float) -> str:
    """A time as the axis has it, in the unit of the whole."""
    if end < 120:
        return f'{value:g}'
    minutes, seconds = divmod(round(value), 60)
    return f'{minutes}:{seconds:02}' if end < 3600 else f'{minutes // 60}:{minutes % 60:02}'
