"""Maps between the classes of different datasets."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from textxfer_mm.visualization.figures import AS_WRITTEN, labels, new_figure, save_figure

_INCHES_A_CLASS, _INCHES_A_LETTER = 0.3, 0.075


def plot_projection_maps(
    path: str | os.PathLike, maps: Mapping[str, tuple[ArrayLike, Sequence[str], Sequence[str]]]
) -> Path:
    """Plot parts of projections between datasets, one below the other, with one colour scale around zero.

    Args:
        path: PNG file to write.
        maps: Weights (rows, columns) with the names of the rows and of the columns, by their titles.
    """
    values = {title: np.asarray(each, dtype=float) for title, (each, _, _) in maps.items()}
    limit = max(float(np.abs(each).max()) for each in values.values()) or 1.0
    letters = [max(len(name) for each in maps.values() for name in labels(each[side])) for side in (1, 2)]
    heights = [each.shape[0] * _INCHES_A_CLASS + letters[1] * _INCHES_A_LETTER + 0.6 for each in values.values()]
    width = max(each.shape[1] for each in values.values()) * _INCHES_A_CLASS + letters[0] * _INCHES_A_LETTER + 2.5
    figure = new_figure(max(width, 6), sum(heights))
    panels = figure.subplots(len(maps), squeeze=False, height_ratios=heights)[:, 0]
    for panel, (title, (_, rows, columns)) in zip(panels, maps.items(), strict=True):
        image = panel.imshow(values[title], cmap='RdBu_r', vmin=-limit, vmax=limit)
        panel.set_title(title, fontsize=9, **AS_WRITTEN)
        panel.set_xticks(range(len(columns)), labels(columns), fontsize=7, rotation=90, **AS_WRITTEN)
        panel.set_yticks(range(len(rows)), labels(rows), fontsize=7, **AS_WRITTEN)
    figure.colorbar(image, ax=panels, shrink=min(1.0, 4 / sum(heights)), label='weight')
    return save_figure(figure, path)
