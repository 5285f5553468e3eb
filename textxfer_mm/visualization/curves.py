"""Training curves."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from textxfer_mm.errors import UserError
from textxfer_mm.visualization.figures import AS_WRITTEN, new_figure, save_figure


def plot_training_curves(
    path: str | os.PathLike,
    *,
    iterations: Sequence[int],
    losses: Sequence[float],
    accuracies: Sequence[float] | None,
    val_iterations: Sequence[int] = (),
    val_accuracies: Sequence[float] = (),
    smoothing: int = 20,
    score: str | None = None,
) -> Path:
    """Plot loss and accuracy over the iterations.

    Args:
        path: PNG file to write.
        iterations: Iterations at which loss and accuracy were logged.
        losses: Training losses.
        accuracies: Training accuracies, from 0 to 1; None where there are none.
        val_iterations: Iterations at which the model was validated.
        val_accuracies: Validation accuracies, from 0 to 1.
        smoothing: Width of the running mean drawn over the raw values, in logged values.
        score: What the accuracies are called, where they are drawn as they are; None is top-1 accuracy, in per cent.

    Raises:
        UserError: Nothing was logged, or the lengths differ.
    """
    lengths = [len(values) for values in (iterations, losses, accuracies) if values is not None]
    if not len(iterations) or len(set(lengths)) != 1:
        raise UserError(
            'Training curves need as many iterations as losses and accuracies, and at least one: got '
            f'{", ".join(map(str, lengths[:-1]))} and {lengths[-1]}.'
        )
    figure = new_figure(10, 4)
    left, right = figure.subplots(1, 2)
    _plot_smoothed(left, iterations, losses, smoothing)
    left.set(xlabel='iteration', ylabel='loss')
    factor = 100 if score is None else 1
    if accuracies is not None:
        _plot_smoothed(right, iterations, factor * np.asarray(accuracies, dtype=float), smoothing)
    if len(val_iterations):
        right.plot(val_iterations, factor * np.asarray(val_accuracies), 'o-', color='tab:orange', label='validation')
    right.set(xlabel='iteration', ylabel=score or 'top-1 accuracy (%)')
    if accuracies is not None or len(val_iterations):
        right.legend(loc='lower right')
    for axes in (left, right):
        axes.set_ylim(bottom=min(0, axes.get_ylim()[0]) if axes is right else 0)
        axes.grid(alpha=0.3)
    if score is None:
        right.set_ylim(0, 102)
    return save_figure(figure, path)


def _plot_smoothed(axes: Axes, iterations: Sequence[int], values: Sequence[float], smoothing: int) -> None:
    """Draw values faintly, and their running mean."""
    values = np.asarray(values, dtype=float)
    axes.plot(iterations, values, color='tab:blue', alpha=0.25, linewidth=1)
    axes.plot(iterations, _running_mean(values, smoothing), color='tab:blue', label='training')


def plot_loss_curves(
    path: str | os.PathLike,
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    xlabel: str = 'iteration',
    ylabel: str = 'training loss',
    smoothing: int | None = None,
    log_scale: bool = False,
) -> Path:
    """Compare the losses of runs in one plot (Text4Vis, Fig. 4).

    The values are drawn faintly under their running mean, which is centred. Values that are NaN or infinite leave a
    gap, and so do values that are not positive on a logarithmic scale.

    Args:
        path: PNG file to write.
        curves: Positions and values of each run, by its name.
        xlabel: What the positions are.
        ylabel: What the values are.
        smoothing: Width of the running mean, in values; 1 draws the values alone, None takes a fortieth of a run.
        log_scale: Whether to plot the losses on a logarithmic scale.

    Raises:
        UserError: There is no run, a run has no value that can be drawn, or lengths differ.
    """
    figure = new_figure(7, 4.5)
    axes = figure.subplots()
    if not curves:
        raise UserError('Loss curves need at least one run.')
    for name, (positions, values) in curves.items():
        values = np.asarray(values, dtype=float)
        if len(values) != len(positions):
            raise UserError(f'{name}: needs as many positions as values, not {len(positions)} and {len(values)}.')
        shown = np.isfinite(values) & (values > 0 if log_scale else True)
        if not shown.any():
            raise UserError(
                f'{name}: none of its {len(values)} values is finite{" and positive" if log_scale else ""}.'
            )
        values[~shown] = np.nan
        width = max(len(values) // 40, 1) if smoothing is None else smoothing
        marker = 'o' if shown.sum() == 1 else None  # a line needs two
        (line,) = axes.plot(positions, _smoothed(values, width), label=name, linewidth=1.8, zorder=3, marker=marker)
        if width > 1:
            axes.plot(positions, values, color=line.get_color(), alpha=0.2, linewidth=0.8)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    if log_scale:
        axes.set_yscale('log')
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    for text in axes.legend(frameon=False).get_texts():
        text.set(**AS_WRITTEN)
    return save_figure(figure, path)


def _smoothed(values: np.ndarray, width: int) -> np.ndarray:
    """Average the finite values in a window of ``width`` around each (cut off at the ends); NaN stays NaN."""
    finite = np.isfinite(values)
    window = np.ones(min(width, len(values)))
    sums, counts = (np.convolve(x, window, 'same') for x in (np.where(finite, values, 0.0), finite.astype(float)))
    return np.divide(sums, counts, out=np.full(len(values), np.nan), where=finite)


def _running_mean(values: np.ndarray, width: int) -> np.ndarray:
    """Return the mean of the last ``width`` values, or of fewer at the beginning."""
    sums = np.cumsum(np.insert(values, 0, 0.0))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - width)
    return (sums[ends] - sums[starts]) / (ends - starts)
