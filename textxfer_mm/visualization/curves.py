"""Training curves."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from textxfer_mm.errors import UserError
from textxfer_mm.visualization.figures import new_figure, save_figure


def plot_training_curves(
    path: str | os.PathLike,
    *,
    iterations: Sequence[int],
    losses: Sequence[float],
    accuracies: Sequence[float],
    val_iterations: Sequence[int] = (),
    val_accuracies: Sequence[float] = (),
    smoothing: int = 20,
) -> Path:
    """Plot loss and accuracy over the iterations.

    Args:
        path: PNG file to write.
        iterations: Iterations at which loss and accuracy were logged.
        losses: Training losses.
        accuracies: Training accuracies, 0 to 1.
        val_iterations: Iterations at which the model was validated.
        val_accuracies: Validation accuracies, 0 to 1.
        smoothing: Width of the running mean drawn over the raw values, in logged values.

    Raises:
        UserError: Nothing was logged, or the lengths differ.
    """
    if not len(iterations) or len({len(iterations), len(losses), len(accuracies)}) != 1:
        raise UserError(
            'Training curves need as many iterations as losses and accuracies, and at least one: got '
            f'{len(iterations)}, {len(losses)} and {len(accuracies)}.'
        )
    figure = new_figure(10, 4)
    left, right = figure.subplots(1, 2)
    for axes, values, name, factor in ((left, losses, 'loss', 1), (right, accuracies, 'top-1 accuracy (%)', 100)):
        values = factor * np.asarray(values, dtype=float)
        axes.plot(iterations, values, color='tab:blue', alpha=0.25, linewidth=1)
        axes.plot(iterations, _running_mean(values, smoothing), color='tab:blue', label='training')
        axes.set(xlabel='iteration', ylabel=name)
        axes.grid(alpha=0.3)
    left.set_ylim(bottom=0)
    right.set_ylim(0, 102)
    if len(val_iterations):
        right.plot(val_iterations, 100 * np.asarray(val_accuracies), 'o-', color='tab:orange', label='validation')
    right.legend(loc='lower right')
    return save_figure(figure, path)


def _running_mean(values: np.ndarray, width: int) -> np.ndarray:
    """Mean of the last ``width`` values, of fewer at the beginning."""
    sums = np.cumsum(np.insert(values, 0, 0.0))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - width)
    return (sums[ends] - sums[starts]) / (ends - starts)
