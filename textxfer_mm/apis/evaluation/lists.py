"""The lists of videos that are evaluated, each as a config whose head and test dataloader are about it."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from textxfer_mm.apis.list_loaders import with_list
from textxfer_mm.datasets.places import join
from textxfer_mm.engine.classes import set_class_names
from textxfer_mm.engine.data_checks import check_datasets, innermost_datasets
from textxfer_mm.errors import UserError, first_few
from textxfer_mm.text.class_names import check_class_names, is_dataset_name, load_class_names
from textxfer_mm.text.glosses.table import Glosses, GlossTable

#: Class names: a list, a file, or the name of a dataset.
Names = str | Path | Sequence[str]


@dataclass(frozen=True)
class TestList:
    """One list of videos and the names of its classes.

    Attributes:
        title: What it is called: its annotation file, or the type of its dataset.
        cfg: A whole config; its test dataloader gives the videos.
        names: Names that replace those of the model (zero-shot recognition), or None for the model's own.
        glosses: The glosses of these, or None.
    """

    title: str
    cfg: Config
    names: tuple[str, ...] | None = None
    glosses: Glosses | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The annotation files."""
        return tuple(files_of(self.cfg))

    def check(self) -> None:
        """Check that its videos are there and have labels of the classes.

        Raises:
            UserError: They are not.
        """
        cfg = copy.deepcopy(self.cfg)
        if self.names is not None:
            set_class_names(cfg, self.names, self.glosses)
        if check_datasets(cfg, ('test',)):
            raise UserError(f'{self.title} has no labels, so there is nothing to compare predictions with. Add them.')


def lists_of(
    cfg: Config,
    labels: Sequence[Names],
    ann_files: Sequence[str | Path],
    data_root: str | Path | None,
    own: bool,
    glosses: GlossTable | None = None,
) -> list[TestList]:
    """The lists of an evaluation, those of the model's own classes first.

    Args:
        cfg: A whole config.
        labels: Names of other classes: one list of names for all annotation files, or one for each.
        ann_files: Annotation files; without any the config's own test list is taken.
        data_root: Where the paths of the annotation files begin. None takes the folder of the config's videos for lists
            of its own classes, and that of the annotation file for lists of others.
        own: Whether the config's own list is taken beside lists of other classes.
        glosses: Where the glosses of the other classes are looked up, or None.

    Raises:
        UserError: The numbers of labels and annotation files do not fit, or a list is given twice.
    """
    names = [_checked(load_class_names(given, distinct=glosses is None), given, glosses) for given in labels]
    files = [str(file) for file in ann_files]
    if len(names) > 1 and len(names) != len(files):
        raise UserError(
            f'{len(names)} lists of class names (--labels) and {len(files)} lists of videos (--ann-file): give one '
            'list of names for all, or one for each.'
        )
    twice = [file for number, file in enumerate(files) if file in files[:number]]
    if twice:
        raise UserError(f'The list {twice[0]} is given twice.')
    if data_root is not None and not files:
        raise UserError('--data-root says where the paths of an annotation list begin: give the list, --ann-file.')
    if not files:
        return [TestList(_title(cfg), cfg, *(names[0] if names else ()))]
    each = names if len(names) > 1 else [names[0] if names else ()] * len(files)
    made = [
        TestList(file, _with_list(cfg, file, data_root, bool(names)), *n) for file, n in zip(files, each, strict=True)
    ]
    if not (own and names):
        return made
    mine = TestList(_title(cfg), cfg)
    if mine.title in files:
        raise UserError(f'The list {mine.title} is given with other names, and is that of the config itself.')
    return [mine, *made]


def _checked(names: tuple[str, ...], given: Names, table: GlossTable | None) -> tuple[tuple[str, ...], Glosses | None]:
    """Class names with their glosses, which must tell equal names apart."""
    if table is None:
        return names, None
    glosses = table.find(names)
    if not is_dataset_name(given):
        check_class_names(names, glosses)
    return names, glosses


def _with_list(cfg: Config, file: str, data_root: str | Path | None, others: bool) -> Config:
    """A config whose test dataloader has another annotation file."""
    cfg = copy.deepcopy(cfg)
    root = data_root if data_root is not None else Path(file).parent if others else None
    cfg.test_dataloader.dataset = with_list(cfg.test_dataloader.dataset, file, root, '--ann-file')
    if others:
        cfg.test_dataloader.dataset.pop('metainfo', None)  # the classes of the config's own list
    return cfg


def files_of(cfg: Mapping[str, Any], phase: str = 'test') -> list[str]:
    """The annotation files of a dataloader; none without it."""
    parts = innermost_datasets((cfg.get(f'{phase}_dataloader') or {}).get('dataset'))
    return [join(part.get('data_root'), part['ann_file']) for part in parts if part.get('ann_file')]


def _title(cfg: Mapping[str, Any]) -> str:
    """What to call the config's own list."""
    kinds = [str(part.get('type')) for part in innermost_datasets(cfg['test_dataloader']['dataset'])]
    return ' + '.join(files_of(cfg)) or first_few(kinds, separator=' + ')
