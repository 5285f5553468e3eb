"""Seen against unseen accuracy."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from textxfer_mm.errors import UserError
from textxfer_mm.visualization.figures import AS_WRITTEN, new_figure, save_figure


def plot_trade_off(
    path: str | os.PathLike,
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    alphas: Sequence[float],
    xlabel: str = 'top-1 on seen classes (%)',
    ylabel: str = 'top-1 on unseen classes (%)',
) -> Path:
    """Plot what is gained on one kind of classes against what is lost on the other, with alpha at the points.

    Args:
        path: PNG file to write.
        curves: The accuracies (0 to 1) on seen and on unseen classes, by the name of the curve.
        alphas: What made each point.
        xlabel: What is to the right.
        ylabel: What is upwards.

    Raises:
        UserError: There is no curve, or one has another number of points than there are alphas.
    """
    if not curves:
        raise UserError('A trade-off needs at least one curve.')
    figure = new_figure(7, 5)
    axes = figure.subplots()
    for name, (seen, unseen) in curves.items():
        if not len(seen) == len(unseen) == len(alphas):
            raise UserError(f'{name}: {len(seen)} and {len(unseen)} accuracies for {len(alphas)} values of alpha.')
        x, y = ([100 * value for value in values] for values in (seen, unseen))
        (line,) = axes.plot(x, y, 'o-', label=name, markersize=4)
        for alpha, *place in zip(alphas, x, y, strict=True):
            axes.annotate(
                f'{alpha:g}', place, xytext=(4, 4), textcoords='offset points', fontsize=7, color=line.get_color()
            )
    axes.set(xlabel=xlabel, ylabel=ylabel, title='numbers: alpha, 0 pre-trained, 1 fine-tuned')
    axes.grid(alpha=0.3)
    for text in axes.legend(frameon=False).get_texts():
        text.set(**AS_WRITTEN)
    return save_figure(figure, path)
