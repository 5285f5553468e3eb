"""K videos of each class: few-shot training (Text4Vis, Table 8)."""

from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process

from textxfer_mm.datasets.draw_files import read_draw, write_draw
from textxfer_mm.datasets.draws import draw_per_class
from textxfer_mm.datasets.list_trees import Row
from textxfer_mm.datasets.selected import SelectedDataset
from textxfer_mm.errors import UserError, first_few, shown
from textxfer_mm.registry import DATASETS

REPEAT = ('none', 'full_epoch')


@DATASETS.register_module()
class FewShotDataset(SelectedDataset):
    """Wraps a dataset and keeps K videos of each class.

    The draw is :func:`~textxfer_mm.datasets.draws.draw_per_class`: more shots contain the fewer ones of the same seed.
    What else holds is said at :class:`~textxfer_mm.datasets.selected.SelectedDataset`.

    Args:
        dataset: A dataset of videos with one label each, or its config.
        shots: K, the videos of each class.
        seed: Seed of the draw.
        repeat: How long an epoch is. ``'none'``: each kept video once, as in the paper, which trains for 200 epochs.
            ``'full_epoch'``: the kept videos follow each other ``n // (C * K)`` times, n being the videos of the whole
            list and C its classes, as in the authors' code, which trains for 30 epochs of that length.
        draw_file: JSON file of the draw: written where there is none, and read where there is one.
        options: ``class_names`` and ``lazy_init``, see :class:`~textxfer_mm.datasets.selected.SelectedDataset`.

    Raises:
        UserError: A class has fewer videos than K, an argument is out of range, the file holds another draw or one
            from another list, or the dataset is none that can be selected from.
    """

    def __init__(
        self,
        dataset: Any,
        shots: int,
        *,
        seed: int = 0,
        repeat: str = 'none',
        draw_file: str | Path | None = None,
        **options: Any,
    ) -> None:
        draw_per_class([], seed=seed, count=shots)  # refuses what is out of range before a long list is read
        if repeat not in REPEAT:
            raise UserError(f'repeat of FewShotDataset is {" or ".join(REPEAT)}, not {shown(repeat)!r}.')
        self.shots, self.seed, self.repeat = shots, seed, repeat
        self.draw_file = None if draw_file is None else Path(draw_file).expanduser()
        super().__init__(dataset, **options)

    def choose(self, rows: list[Row]) -> list[Row]:
        """Draw K videos of each class, or read which were drawn."""
        self._require_all_classes(rows)
        if self.draw_file is not None and self.draw_file.is_file():
            kept = read_draw(self.draw_file, rows, shots=self.shots, seed=self.seed)
        else:
            labels = [row.label for row in rows]
            drawn = draw_per_class(labels, seed=self.seed, count=self.shots, names=self.class_names)
            kept = [rows[index] for index in drawn]
            if self.draw_file is not None and is_main_process():  # the other ranks draw the same
                write_draw(self.draw_file, rows, kept, shots=self.shots, seed=self.seed)
        if self.repeat == 'full_epoch' and kept:
            self.times = len(rows) // len(kept)
        return kept

    def _require_all_classes(self, rows: list[Row]) -> None:
        names, present = self.class_names, {label for row in rows for label in row.labels}
        absent = [name for label, name in enumerate(names or ()) if label not in present]
        if absent:
            raise UserError(
                f'{self.shots} videos a class were asked for, but {len(absent)} of {len(names)} classes have none: '
                f'{first_few(absent)}. Add videos of them, or leave the classes out by ClassSubsetDataset.'
            )
