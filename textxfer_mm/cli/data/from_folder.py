"""``textxfer data from-folder``: lists and class names from folders of classes."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from textxfer_mm.cli.data.lists import Groups, Out, Overwrite, Seed, Test, Val, tell
from textxfer_mm.errors import first_few, shown


def from_folder(
    folder: Annotated[Path, typer.Argument(help='Folder with one folder of videos for each class.')],
    out: Out = None,
    val: Val = 0.2,
    test: Test = 0.0,
    groups: Groups = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Write train.txt, val.txt (and test.txt) and classes.txt for a folder of class folders.

    Labels follow the sorted names of the folders. The draw is made class by class, equal in every run, and keeps groups
    on one side. A folder that holds train/ and val/ is taken as it is split.
    """
    from textxfer_mm.apis.data_tools import CLASS_FILE, lists_from_folder

    written = lists_from_folder(folder, out, val=val, test=test, groups=groups, seed=seed, overwrite=overwrite)
    names = written.class_names or ()
    place = shown(next(iter(written.files.values())).parent / CLASS_FILE)
    Console().print(Text(f'{len(names):9,}  classes in {place}: {first_few(names)}'), soft_wrap=True)
    tell(written)
