"""A share of each class's videos: training on a fraction of the labels (Text4Vis, Fig. 3)."""

from typing import Any

from textxfer_mm.datasets.draws import draw_per_class
from textxfer_mm.datasets.list_trees import Row
from textxfer_mm.datasets.selected import SelectedDataset
from textxfer_mm.registry import DATASETS


@DATASETS.register_module()
class LabelFractionDataset(SelectedDataset):
    """Wraps a dataset and keeps a seeded share of the videos of each class.

    The draw is :func:`~textxfer_mm.datasets.draws.draw_per_class`: a larger fraction contains the smaller ones of the
    same seed. What else holds is said at :class:`~textxfer_mm.datasets.selected.SelectedDataset`.

    Args:
        dataset: A dataset of videos with one label each, or its config.
        fraction: Share of each class, above 0 and at most 1; at least one video per class is kept.
        seed: Seed of the draw.
        options: ``class_names`` and ``lazy_init``, see :class:`~textxfer_mm.datasets.selected.SelectedDataset`.

    Raises:
        UserError: The fraction or the seed is out of range, the dataset is none that can be selected from, or its
            videos do not have one label each.
    """

    def __init__(self, dataset: Any, fraction: float, *, seed: int = 0, **options: Any) -> None:
        draw_per_class([], seed=seed, fraction=fraction)  # refuses what is out of range before a long list is read
        self.fraction, self.seed = fraction, seed
        super().__init__(dataset, **options)

    def choose(self, rows: list[Row]) -> list[Row]:
        """Draw the share of each class."""
        drawn = draw_per_class([row.label for row in rows], seed=self.seed, fraction=self.fraction)
        return [rows[index] for index in drawn]
