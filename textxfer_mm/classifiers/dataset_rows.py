"""Class rows of several datasets in one space, of which those of one dataset classify at a time."""

from collections.abc import Mapping

from torch import Tensor, nn

from textxfer_mm.classifiers.class_rows import ClassRows
from textxfer_mm.errors import UserError, nearest
from textxfer_mm.layers.named_modules import NamedModules


class DatasetRows(nn.Module):
    """:class:`ClassRows` by dataset, all as wide; to its head it is the rows of the chosen one.

    Args:
        datasets: The class rows by the name of their dataset.
        chosen: The dataset whose rows classify; None takes the only one there is.
        other: Rows of classes of none of the datasets, which classify instead: zero-shot recognition.
    """

    def __init__(
        self, datasets: Mapping[str, ClassRows], chosen: str | None = None, other: ClassRows | None = None
    ) -> None:
        super().__init__()
        self.datasets = NamedModules(datasets)
        self.other = other
        self.chosen = next(iter(datasets)) if chosen is None and len(datasets) == 1 else chosen

    @property
    def embed_dims(self) -> int:
        """D."""
        return next(rows for _, rows in self.datasets.items()).embed_dims

    @property
    def num_classes(self) -> int | None:
        """K of the rows that classify; None where no dataset is chosen."""
        return self.of().num_classes if self.other is not None or self.chosen is not None else None

    def of(self, dataset: str | None = None) -> ClassRows:
        """The rows of a dataset, or those that classify.

        Raises:
            UserError: There is no such dataset, or none is named or chosen.
        """
        if dataset is None and self.other is not None:
            return self.other
        name = self.chosen if dataset is None else dataset
        if name is None:
            raise UserError(
                'The model has the class rows of several datasets: say by those of which it classifies, '
                f'predict_as={" or ".join(map(repr, self.datasets))} of its head, --dataset of the commands.'
            )
        if name not in self.datasets:
            raise UserError(f'The model has no class rows of {name!r}.{nearest(name, self.datasets)}')
        return self.datasets[name]

    def fill(self) -> None:
        """Make all rows that are not there yet; see :meth:`ClassRows.fill`."""
        for _, rows in self.datasets.items():
            rows.fill()
        if self.other is not None:
            self.other.fill()

    def training_rows(self) -> Tensor:
        """The rows (K, D) of the chosen dataset, with gradient to what is trained."""
        return self.of().training_rows()

    def testing_rows(self) -> Tensor:
        """The rows (K, D) that classify."""
        return self.of().testing_rows()

    def init_weights(self) -> None:
        """Make all rows; MMEngine calls it."""
        self.fill()
