"""Maps over pairs of classes: correlation of the class embeddings, and confusion."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from textxfer_mm.errors import UserError
from textxfer_mm.visualization.figures import AS_WRITTEN, labels, new_figure, save_figure

_MIN_SPAN = 0.02


def plot_class_correlation(path: str | os.PathLike, embeddings: ArrayLike, class_names: Sequence[str]) -> Path:
    """Plot the cosine similarities between class embeddings: what a text classifier knows of its classes.

    Args:
        path: PNG file to write.
        embeddings: Class embeddings (K, D); rows are normalised here.
        class_names: The K class names.
    """
    values = class_correlation(embeddings)
    return _plot_matrix(path, values, class_names, title='cosine similarity of the class embeddings', digits=2)


def class_correlation(embeddings: ArrayLike) -> np.ndarray:
    """Return the cosine similarities (K, K) between class embeddings (K, D)."""
    rows = np.asarray(embeddings, dtype=float)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-12)
    return rows @ rows.T


def plot_class_correlations(
    path: str | os.PathLike,
    maps: Mapping[str, ArrayLike],
    class_names: Sequence[str],
    *,
    vmin: Sequence[float | None] = (None,),
    vmax: Sequence[float | None] = (None,),
    own_scales: bool = False,
) -> Path:
    """Plot the correlation maps of several classifiers over the same classes, side by side (Text4Vis, Fig. 1).

    All maps share one colour scale, which spans the values off the diagonal (whose ones would leave no contrast).

    Args:
        path: PNG file to write.
        maps: Cosine similarities (K, K), by their titles.
        class_names: The K class names.
        vmin: Value of the lowest colour, one for all maps or one for each; None takes it from the values.
        vmax: Value of the highest colour, likewise.
        own_scales: Whether each map has its own scale.

    Raises:
        UserError: A map is not K x K, or the number of thresholds is neither one nor that of the maps.
    """
    values = {title: np.asarray(each, dtype=float) for title, each in maps.items()}
    size = len(class_names)
    for title, each in values.items():
        if each.shape != (size, size):
            raise UserError(f'A map of {size} classes needs a matrix of {size} x {size}; {title!r} is {each.shape}.')
    scales = _scales(list(values.values()), vmin, vmax, own_scales)
    shared = len(set(scales)) == 1
    figure, panels = _grid_of_maps(len(values), class_names, room=0.0 if shared else 0.9)
    for panel, (title, each), (low, high) in zip(panels, values.items(), scales, strict=True):
        image = panel.imshow(each, cmap='viridis', vmin=low, vmax=high)
        panel.set_title(title, **AS_WRITTEN)
        if not shared:
            figure.colorbar(image, ax=panel, shrink=0.8, extend='both')
    if shared:
        figure.colorbar(image, ax=panels, shrink=0.8, extend='both', label='cosine similarity')
    return save_figure(figure, path)


def _grid_of_maps(count: int, names: Sequence[str], room: float) -> tuple[Figure, list[Axes]]:
    """Make square panels with the names of the classes at the left and below, where they are legible.

    Args:
        count: Number of panels.
        names: The K names.
        room: Space beside each panel, in inches.
    """
    columns = count if count <= 3 else -(-count // 2) if count <= 6 else 3
    rows = -(-count // columns)
    side = min(2.2 + 0.17 * len(names), 9)
    shown, names = len(names) <= 60, labels(names)
    label = 0.07 * max(map(len, names)) if shown else 0.0
    figure = new_figure((side + room) * columns + label + 1.2, side * rows + label + 0.4 * rows)
    grid = figure.subplots(rows, columns, squeeze=False)
    panels = list(grid.flat)[:count]
    for panel in list(grid.flat)[count:]:
        panel.remove()
    for i, panel in enumerate(panels):
        panel.set_xticks(range(len(names)) if shown and i + columns >= count else [])
        panel.set_yticks(range(len(names)) if shown and i % columns == 0 else [])
        panel.set_xticklabels(names if len(panel.get_xticks()) else [], fontsize=8, rotation=90, **AS_WRITTEN)
        panel.set_yticklabels(names if len(panel.get_yticks()) else [], fontsize=8, **AS_WRITTEN)
    return figure, panels


def _scales(
    maps: Sequence[np.ndarray], vmin: Sequence[float | None], vmax: Sequence[float | None], own: bool
) -> list[tuple[float, float]]:
    """Return the lowest and the highest colour of each map."""
    ranges = []
    for each in maps:
        beside = each[~np.eye(len(each), dtype=bool)] if len(each) > 1 else each
        ranges.append((float(beside.min()), float(beside.max())))
    if not own:
        ranges = [(min(low for low, _ in ranges), max(high for _, high in ranges))] * len(maps)
    for given, option in ((vmin, 'vmin'), (vmax, 'vmax')):
        if len(given) not in (1, len(maps)):
            raise UserError(
                f'{option}: give one value for all maps or one for each of the {len(maps)}, not {len(given)}.'
            )
    lows, highs = (list(given) * (len(maps) if len(given) == 1 else 1) for given in (vmin, vmax))
    scales = []
    for (low, high), asked_low, asked_high in zip(ranges, lows, highs, strict=True):
        if high - low < _MIN_SPAN:  # orthogonal rows: rounding errors are no pattern
            low, high = (low + high - _MIN_SPAN) / 2, (low + high + _MIN_SPAN) / 2
        low, high = low if asked_low is None else asked_low, high if asked_high is None else asked_high
        if not low < high:
            raise UserError(f'The lowest colour ({low:.3g}) must be below the highest ({high:.3g}).')
        scales.append((low, high))
    return scales


def plot_confusion_matrix(path: str | os.PathLike, confusion: ArrayLike, class_names: Sequence[str]) -> Path:
    """Plot a confusion matrix in per cent of the videos of each true class.

    Args:
        path: PNG file to write.
        confusion: Counts (K, K), true classes in rows.
        class_names: The K class names.
    """
    counts = np.asarray(confusion, dtype=float)
    shares = 100 * counts / counts.sum(axis=1, keepdims=True).clip(1)
    return _plot_matrix(path, shares, class_names, title='% of a true class (row) predicted as (column)', digits=0)


def _plot_matrix(path: str | os.PathLike, values: np.ndarray, names: Sequence[str], *, title: str, digits: int) -> Path:
    """Draw a square matrix with names on both axes, and with its numbers if they are few enough to be legible."""
    size = len(names)
    if values.shape != (size, size):
        raise UserError(f'A map of {size} classes needs a matrix of {size} x {size}, got {values.shape}.')
    inches = min(5 + 0.32 * size, 24)
    figure = new_figure(inches + 1, inches)
    axes = figure.subplots()
    image = axes.imshow(values, cmap='viridis', vmin=min(0, values.min()), vmax=max(values.max(), 1e-9))
    axes.set_xticks(range(size), labels(names), rotation=60, ha='right', **AS_WRITTEN)
    axes.set_yticks(range(size), labels(names), **AS_WRITTEN)
    axes.set_title(title)
    if size <= 40:
        middle = (image.norm.vmin + image.norm.vmax) / 2
        for row, column in np.argwhere(np.abs(values) >= 0.5 * 10**-digits):
            value = values[row, column]
            colour = 'black' if value > middle else 'white'
            axes.text(column, row, f'{value:.{digits}f}', ha='center', va='center', fontsize=6, color=colour)
    figure.colorbar(image, shrink=0.8)
    return save_figure(figure, path)
