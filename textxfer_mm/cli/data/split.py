"""``textxfer data split``: a list into those for training, validation and testing."""

from pathlib import Path
from typing import Annotated

import typer

from textxfer_mm.cli.data.lists import Groups, MultiLabel, Out, Overwrite, Seed, Test, Val, tell


def split(
    source: Annotated[Path, typer.Argument(metavar='LIST', help='An annotation list.')],
    out: Out = None,
    val: Val = 0.2,
    test: Test = 0.0,
    groups: Groups = None,
    seed: Seed = 0,
    multi_label: MultiLabel = False,
    overwrite: Overwrite = False,
) -> None:
    """Split an annotation list into train.txt, val.txt (and test.txt), class by class; groups stay on one side.

    Lines are copied as they are, those of lists of frames too. The draw is equal in every run and does not depend on
    the order of the list.
    """
    from textxfer_mm.apis.data_tools import split_list

    options = dict(val=val, test=test, groups=groups, seed=seed, multi_label=multi_label, overwrite=overwrite)
    tell(split_list(source, out, **options))
