"""``textxfer data labels``: names against the labels of lists."""

import json
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from textxfer_mm.cli.data.lists import MultiLabel
from textxfer_mm.errors import shown
from textxfer_mm.files import require_form, write_text

#: Classes up to which all are shown, and lines of each remark; the JSON file has all.
ROWS, LINES = 50, 5


def labels(
    lists: Annotated[list[Path], typer.Argument(metavar='LIST...', help='Annotation lists.')],
    names: Annotated[
        str | None, typer.Option('--names', help='Class names: a file, or the name of a dataset such as ucf101.')
    ] = None,
    multi_label: MultiLabel = False,
    json_file: Annotated[Path | None, typer.Option('--json', help='Write what was found to this JSON file.')] = None,
) -> None:
    """Compare the labels of lists with class names: counts, labels out of range, repetitions, names easily mistaken.

    The exit status is 0 where names and labels agree, 1 where they do not, 2 after a mistake. Classes that one list
    lacks, and look-alikes, are remarked only.
    """
    from textxfer_mm.apis.label_check import HARMLESS, REMARKS, check_labels

    if json_file is not None:
        require_form(json_file, '--json', '.json')
    found = check_labels(lists, names, multi_label=multi_label)
    if json_file is not None:
        write_text(json_file, json.dumps(found, indent=2, ensure_ascii=False))
    console = Console()
    _tell_counts(console, found)
    for remark, meaning in REMARKS.items():
        console.print(Text(f'{len(found[remark]):9,}  {remark}: {meaning}'), soft_wrap=True)
        for line in found[remark][:LINES]:
            console.print(Text(f'{"":11}{line}'), soft_wrap=True)
        if len(found[remark]) > LINES:
            console.print(Text(f'{"":11}...; --json has all'), soft_wrap=True)
    if json_file is not None:
        console.print(Text(f'Wrote {shown(json_file)}'), soft_wrap=True)
    if any(found[remark] for remark in REMARKS if remark not in HARMLESS):
        raise typer.Exit(1)


def _tell_counts(console: Console, found: dict[str, Any]) -> None:
    """Print the number of videos of each class, or of many classes the range."""
    classes = found['classes']
    if len(classes) <= ROWS:
        table = Table()
        table.add_column('label', justify='right')
        table.add_column('name', overflow='fold')
        for path in found['videos']:
            table.add_column(shown(Path(path).name), justify='right', overflow='fold')
        for row in classes:
            name = '' if row['name'] is None else shown(row['name'])
            table.add_row(str(row['label']), Text(name), *(f'{count:,}' for count in row['videos'].values()))
        console.print(table)
    for path, total in found['videos'].items():
        each = sorted(row['videos'][path] for row in classes)
        line = f'{total:9,}  videos in {shown(path)}: {each[0]:,} to {each[-1]:,} a class, median {median(each):,g}'
        console.print(Text(line), soft_wrap=True)
