"""A share of each class's videos: training on a fraction of the labels (Text4Vis, Fig. 3)."""

from typing import Any

from mmengine.dataset import BaseDataset

from textxfer_mm.datasets.draws import draw_per_class
from textxfer_mm.errors import UserError
from textxfer_mm.registry import DATASETS


@DATASETS.register_module()
class LabelFractionDataset:
    """Wraps a dataset and keeps a seeded share of the videos of each class.

    The draw is :func:`~textxfer_mm.datasets.draws.draw_per_class`: the same on every rank and in every run; a larger
    fraction contains the smaller ones of the same seed. Videos that replace corrupt ones are drawn from the kept ones,
    too. The wrapped dataset itself is not changed.

    Args:
        dataset: A dataset of videos with one label each, or its config.
        fraction: Share of each class, above 0 and at most 1; at least one video per class is kept.
        seed: Seed of the draw.
        lazy_init: Whether to leave reading the list to :meth:`full_init`, which MMEngine's runner calls.

    Raises:
        UserError: The fraction or the seed is out of range, the dataset is not one of MMEngine's (wrap the fraction
            around it, and other wrappers around the fraction), or its videos do not have one label each.
    """

    def __init__(
        self, dataset: BaseDataset | dict[str, Any], fraction: float, *, seed: int = 0, lazy_init: bool = False
    ) -> None:
        draw_per_class([], seed=seed, fraction=fraction)  # refuses what is out of range before a long list is read
        built = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        if not isinstance(built, BaseDataset):
            raise UserError(
                'LabelFractionDataset wraps a dataset such as VideoDataset, or its config, not '
                f'{type(built).__name__}; put RepeatDataset and other wrappers around LabelFractionDataset.'
            )
        self.dataset = built
        self.fraction = fraction
        self.seed = seed
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    @property
    def metainfo(self) -> dict[str, Any]:
        """The meta information of the wrapped dataset."""
        return self.dataset.metainfo

    def full_init(self) -> None:
        """Read the list of the wrapped dataset and draw, once."""
        if self._fully_initialized:
            return
        self.dataset.full_init()
        labels = [self._label(index) for index in range(len(self.dataset))]
        self.dataset = self.dataset.get_subset(draw_per_class(labels, seed=self.seed, fraction=self.fraction))
        self._fully_initialized = True

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Return the annotation of a kept video."""
        self.full_init()
        return self.dataset.get_data_info(idx)

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the labels of a kept video, for ``ClassBalancedDataset``."""
        self.full_init()
        return self.dataset.get_cat_ids(idx)

    def __getitem__(self, idx: int) -> dict[str, Any]:
        self.full_init()
        return self.dataset[idx]

    def __len__(self) -> int:
        self.full_init()
        return len(self.dataset)

    def _label(self, index: int) -> Any:
        info = self.dataset.get_data_info(index)
        if 'label' not in info:
            raise UserError(
                f'LabelFractionDataset draws by label, and {type(self.dataset).__name__} has none '
                f'(its entries are {", ".join(sorted(info))}).'
            )
        return info['label']
