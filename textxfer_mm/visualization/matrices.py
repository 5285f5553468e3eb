"""Maps over pairs of classes: correlation of the class embeddings, and confusion."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from textxfer_mm.errors import UserError
from textxfer_mm.visualization.figures import new_figure, save_figure


def plot_class_correlation(path: str | os.PathLike, embeddings: ArrayLike, class_names: Sequence[str]) -> Path:
    """Plot the cosine similarities between class embeddings: what a text classifier knows of its classes.

    Args:
        path: PNG file to write.
        embeddings: Class embeddings (K, D); rows are normalised here.
        class_names: K names.
    """
    rows = np.asarray(embeddings, dtype=float)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-12)
    return _plot_matrix(path, rows @ rows.T, class_names, title='cosine similarity of the class embeddings', digits=2)


def plot_confusion_matrix(path: str | os.PathLike, confusion: ArrayLike, class_names: Sequence[str]) -> Path:
    """Plot a confusion matrix in per cent of the videos of each true class.

    Args:
        path: PNG file to write.
        confusion: Counts (K, K), true classes in rows.
        class_names: K names.
    """
    counts = np.asarray(confusion, dtype=float)
    shares = 100 * counts / counts.sum(axis=1, keepdims=True).clip(1)
    return _plot_matrix(path, shares, class_names, title='% of a true class (row) predicted as (column)', digits=0)


def _plot_matrix(path: str | os.PathLike, values: np.ndarray, names: Sequence[str], *, title: str, digits: int) -> Path:
    """Draw a square matrix with names on both axes, and its numbers where they are few enough to be read."""
    size = len(names)
    if values.shape != (size, size):
        raise UserError(f'A map of {size} classes needs a matrix of {size} x {size}, got {values.shape}.')
    inches = min(5 + 0.32 * size, 24)
    figure = new_figure(inches + 1, inches)
    axes = figure.subplots()
    image = axes.imshow(values, cmap='viridis', vmin=min(0, values.min()), vmax=max(values.max(), 1e-9))
    axes.set_xticks(range(size), names, rotation=60, ha='right')
    axes.set_yticks(range(size), names)
    axes.set_title(title)
    if size <= 40:
        middle = (image.norm.vmin + image.norm.vmax) / 2
        for row, column in np.argwhere(np.abs(values) >= 0.5 * 10**-digits):
            value = values[row, column]
            colour = 'black' if value > middle else 'white'
            axes.text(column, row, f'{value:.{digits}f}', ha='center', va='center', fontsize=6, color=colour)
    figure.colorbar(image, shrink=0.8)
    return save_figure(figure, path)
