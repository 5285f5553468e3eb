"""What the datasets that keep some videos of another share."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textxfer_mm.datasets.list_trees import (
    Row,
    categories_of,
    close_lists,
    keep_rows,
    names_of,
    open_lists,
    own,
    rows_of,
    source_of,
)
from textxfer_mm.errors import UserError, shown
from textxfer_mm.text.class_folders import require_order_of_folders
from textxfer_mm.text.class_names import load_class_names, require_same_names


class SelectedDataset(ABC):
    """Keeps some videos of a dataset, perhaps under other labels, before its list is stored.

    It wraps a dataset of MMAction2 (``label``) or MMPretrain (``gt_label``), another of its kind, or ``RepeatDataset``,
    ``ConcatDataset`` and ``ClassBalancedDataset`` around such, whose repetitions are counted anew; these may be around
    it as well. Several lists that are joined are one list to it. Since it is the list itself that gets shorter, a
    corrupt video is replaced by a kept one. Selections draw with generators of their own, so that all ranks and runs
    keep the same. A dataset object that is given is not changed.

    Args:
        dataset: The dataset, or its config.
        class_names: Names of the classes in the order of the labels of ``dataset``: a list, a file, or the name of a
            dataset (:func:`~textxfer_mm.text.class_names.load_class_names`). By default ``metainfo['classes']`` of
            ``dataset``, if it has one.
        lazy_init: Whether to leave reading the list to :meth:`full_init`, which MMEngine's runner calls.
    """

    #: How often the kept list follows itself.
    times = 1

    def __init__(
        self,
        dataset: Any,
        *,
        class_names: str | Path | Sequence[str] | None = None,
        lazy_init: bool = False,
    ) -> None:
        self._given_names = None if class_names is None else load_class_names(class_names)
        self.dataset = own(dataset, type(self).__name__)
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    @abstractmethod
    def choose(self, rows: list[Row]) -> list[Row]:
        """Return the videos to keep, in their order.

        Args:
            rows: All videos.
        """

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of the classes in the order of the labels; None where they are not known."""
        return self._names_inside()

    @property
    def metainfo(self) -> dict[str, Any]:
        """The meta information of the wrapped dataset, with ``classes`` where their names are known."""
        names = self.class_names
        known: Mapping[str, Any] = self.dataset.metainfo
        return (
            dict(known) if names is None or tuple(known.get('classes') or ()) == names else {**known, 'classes': names}
        )

    def full_init(self) -> None:
        """Read the lists of the wrapped dataset and select, once."""
        if not self._fully_initialized:
            open_lists(self)
            close_lists(self)

    def apply_selection(self) -> None:
        """Select among the open lists of the wrapped dataset, once.

        Raises:
            UserError: Nothing is left, there are labels without a class or in the folders of others, or what
                :meth:`choose` says.
        """
        if self._fully_initialized:
            return
        rows = rows_of(self.dataset, type(self).__name__)
        try:
            self._require_known_labels(rows)
            kept = self.choose(rows)
            if not kept:
                raise UserError(f'none of the {len(rows):,} videos is left.')
        except UserError as error:
            raise UserError(f'{type(self).__name__} of {source_of(self)}: {error}') from error
        keep_rows(self.dataset, kept)
        self._fully_initialized = True

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Return the annotation of a kept video."""
        return self.dataset.get_data_info(self._place(idx))

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the labels of a kept video, for ``ClassBalancedDataset``."""
        return categories_of(self.dataset, self._place(idx))

    def __getitem__(self, idx: int) -> dict[str, Any]:
        return self.dataset[self._place(idx)]

    def __len__(self) -> int:
        self.full_init()
        return self.times * len(self.dataset)

    def _place(self, idx: int) -> int:
        """Where a sample is in the kept list."""
        return range(len(self))[idx] % len(self.dataset)

    def _names_inside(self) -> tuple[str, ...] | None:
        """The names of the classes of the wrapped dataset."""
        inside = names_of(self.dataset)
        if self._given_names is None:
            return inside
        if inside is not None:
            asker = type(self).__name__
            require_same_names(inside, self._given_names, f'the dataset in {asker}', f'class_names of {asker}')
        return self._given_names

    def _require_known_labels(self, rows: list[Row]) -> None:
        names = self._names_inside()
        if names is None:
            return
        for row in rows:
            for label in row.labels:
                if not 0 <= label < len(names):
                    raise UserError(
                        f'label {label} of {shown(row.name or "an entry")!r} is out of range: {len(names)} classes are '
                        f'named, 0 to {len(names) - 1} (from {shown(names[0])!r} to {shown(names[-1])!r}).'
                    )
        require_order_of_folders(((row.name, row.labels) for row in rows), names)
