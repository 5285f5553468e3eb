"""Plots of results."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from harness.claims import Measure, Results
from harness.statistics import spread, values
from textxfer_mm.visualization.figures import new_figure, save_figure


def plot_shares(
    file: Path,
    results: Results,
    measure: Measure,
    *,
    curves: Mapping[str, Mapping[float, str]],
    colours: Mapping[str, str],
    xlabel: str,
    ylabel: str,
) -> bool:
    """Plot a measure over shares in per cent, on a logarithmic axis: mean and standard deviation, and the single runs.

    Args:
        file: PNG file to write.
        results: All results.
        measure: What is plotted; its chance is drawn as a line.
        curves: The rows by their share, for each title.
        colours: The colour of each title.
        xlabel: What the shares are of.
        ylabel: What is measured.

    Returns:
        Whether there was anything to plot; else no file is written.
    """
    figure = new_figure(6.5, 4.2)
    axes = figure.subplots()
    drawn = False
    for number, (title, rows) in enumerate(curves.items()):
        shift = 1 + 0.012 * (2 * number - len(curves) + 1)  # bars of equal shares lie side by side
        points = [(share * shift, list(values(results, row, measure).values())) for share, row in rows.items()]
        points = [(x, runs) for x, runs in points if runs]
        if not points:
            continue
        drawn = True
        x, means, spreads = zip(*((x, np.mean(runs), spread(runs)) for x, runs in points), strict=True)
        axes.errorbar(x, means, spreads, color=colours[title], marker='o', capsize=4, label=title)
        for at, runs in points:
            axes.plot([at] * len(runs), runs, '.', color=colours[title], alpha=0.5)
    if not drawn:
        return False
    shares = sorted({share for rows in curves.values() for share in rows})
    axes.set_xscale('log')
    axes.set_xticks(shares, [f'{share:g} %' for share in shares])
    axes.minorticks_off()
    if measure.chance is not None:
        axes.axhline(measure.chance, color='grey', linestyle=':', label='chance')
    axes.set(xlabel=xlabel, ylabel=ylabel, ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    save_figure(figure, file)
    return True


def plot_losses(
    file: Path, results: Results, *, rows: Mapping[str, str], colours: Mapping[str, str], smoothing: int = 10
) -> bool:
    """Plot the training loss over the steps: the mean of the seeds, and the range between them.

    Args:
        file: PNG file to write.
        results: All results; those of the rows hold ``losses``.
        rows: Titles of the rows, by their names.
        colours: The colour of each title.
        smoothing: Each value is the mean of so many steps.

    Returns:
        Whether there was anything to plot; else no file is written.
    """
    points = {
        title: [list(enumerate(_smooth(run['losses'], smoothing), 1)) for run in results.get(row, {}).values()]
        for row, title in rows.items()
    }
    return _plot_over_steps(file, points, colours, 'training loss')


def plot_curves(
    file: Path, results: Results, *, rows: Mapping[str, str], colours: Mapping[str, str], ylabel: str, scale: float = 1
) -> bool:
    """Plot what was measured during training over the steps, as :func:`plot_losses` does.

    Args:
        file: PNG file to write.
        results: All results; those of the rows hold ``curve``, all with equal steps.
        rows: Titles of the rows, by their names.
        colours: The colour of each title.
        ylabel: What is measured.
        scale: Factor of the values, such as 100 for per cent.

    Returns:
        Whether there was anything to plot; else no file is written.
    """
    points = {
        title: [[(step, scale * value) for step, value in run['curve']] for run in results.get(row, {}).values()]
        for row, title in rows.items()
    }
    return _plot_over_steps(file, points, colours, ylabel)


def _plot_over_steps(
    file: Path,
    points: Mapping[str, Sequence[Sequence[tuple[float, float]]]],
    colours: Mapping[str, str],
    ylabel: str,
) -> bool:
    """Plot mean and range of the curves (seeds, points, 2) of each title."""
    points = {title: np.array(curves) for title, curves in points.items() if curves}
    if not points:
        return False
    figure = new_figure(6.5, 4.2)
    axes = figure.subplots()
    for title, curves in points.items():
        steps, values = curves[0, :, 0], curves[:, :, 1]
        axes.plot(steps, values.mean(0), color=colours[title], label=title)
        axes.fill_between(steps, values.min(0), values.max(0), color=colours[title], alpha=0.15, linewidth=0)
    axes.set(xlabel='training step', ylabel=ylabel, ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    save_figure(figure, file)
    return True


def _smooth(losses: Sequence[float], width: int) -> np.ndarray:
    """Mean of the last ``width`` values, of fewer at the beginning."""
    sums = np.cumsum([0.0, *losses])
    ends = np.arange(1, len(losses) + 1)
    starts = np.maximum(0, ends - width)
    return (sums[ends] - sums[starts]) / (ends - starts)
