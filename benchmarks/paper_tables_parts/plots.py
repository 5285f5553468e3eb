"""The plots of the page."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from paper_tables_parts.statistics import Results, spread, values
from paper_tables_parts.tables import FIGURE_3, FIGURE_4, FRACTIONS
from textxfer_mm.visualization.figures import new_figure, save_figure

COLOURS = {'text': 'tab:blue', 'vision': 'tab:orange', 'random': 'tab:green'}
NAMES = {'text': 'vision-text', 'vision': 'vision-only', 'random': 'random matrix'}


def plot_label_fractions(folder: Path, results: Results) -> list[Path]:
    """Top-1 accuracy over the share of the labels, mean and standard deviation, and the single runs."""
    figure = new_figure(6.5, 4.2)
    axes = figure.subplots()
    drawn = False
    for name, shift in (('text', -0.012), ('vision', 0.012)):
        points = [
            (percent, list(values(results, name if percent == 100 else f'{name}-{percent}', 'seen').values()))
            for percent in FRACTIONS
        ]
        points = [(percent * (1 + shift), runs) for percent, runs in points if runs]
        if not points:
            continue
        drawn = True
        x, means, spreads = zip(*((p, np.mean(runs), spread(runs)) for p, runs in points), strict=True)
        axes.errorbar(x, means, spreads, color=COLOURS[name], marker='o', capsize=4, label=NAMES[name])
        for at, runs in points:
            axes.plot([at] * len(runs), runs, '.', color=COLOURS[name], alpha=0.5)
    if not drawn:
        return []
    axes.set_xscale('log')
    axes.set_xticks(FRACTIONS, [f'{percent} %' for percent in FRACTIONS])
    axes.minorticks_off()
    axes.axhline(100 / 17, color='grey', linestyle=':', label='chance')
    axes.set(xlabel='share of the labels', ylabel='top-1 on seen classes (%)', ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    return [save_figure(figure, folder / FIGURE_3.image)]


def plot_losses(folder: Path, results: Results, smoothing: int = 10) -> list[Path]:
    """Training loss over the steps: the mean of the seeds, and the range between them."""
    figure = new_figure(6.5, 4.2)
    axes = figure.subplots()
    drawn = False
    for row in FIGURE_4.rows:
        curves = [_smooth(run['losses'], smoothing) for run in results.get(row.setting, {}).values()]
        if not curves:
            continue
        drawn = True
        stacked = np.stack(curves)  # (seeds, steps)
        steps = np.arange(1, stacked.shape[1] + 1)
        colour = COLOURS[row.setting]
        axes.plot(steps, stacked.mean(0), color=colour, label=NAMES[row.setting])
        axes.fill_between(steps, stacked.min(0), stacked.max(0), color=colour, alpha=0.15, linewidth=0)
    if not drawn:
        return []
    axes.set(xlabel='training step', ylabel='training loss', ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    return [save_figure(figure, folder / FIGURE_4.image)]


def _smooth(losses: Sequence[float], width: int) -> np.ndarray:
    """Mean of the last ``width`` values, of fewer at the beginning."""
    sums = np.cumsum([0.0, *losses])
    ends = np.arange(1, len(losses) + 1)
    starts = np.maximum(0, ends - width)
    return (sums[ends] - sums[starts]) / (ends - starts)
