"""``textxfer doctor``: what this machine has, what is wrong, and the cure."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from textxfer_mm.apis.doctor import Check, run_checks
from textxfer_mm.errors import shown
from textxfer_mm.version import __version__

STYLES = {'ok': ('OK', 'green'), 'note': ('note', 'yellow'), 'problem': ('problem', 'bold red')}


def doctor(
    as_json: Annotated[bool, typer.Option('--json', help='Print the checks as JSON instead of a table.')] = False,
) -> None:
    """Check Python, the packages, OpenCV, the GPU, disk space, the hub and cached weights.

    Exits with status 1 if there is a problem; notes are no problems.
    """
    with Console(stderr=True).status('checking (the imports take some seconds)'):
        checks = run_checks()
    problems = sum(check.status == 'problem' for check in checks)
    if as_json:
        report = dict(version=__version__, problems=problems, checks=[check.as_dict() for check in checks])
        typer.echo(json.dumps(report, indent=2))
    else:
        _print_table(checks, problems)
    if problems:
        raise typer.Exit(1)


def _print_table(checks: list[Check], problems: int) -> None:
    """Print one row a check, and the verdict."""
    table = Table(title=f'textxfer doctor, textxfer_mm {__version__}', title_justify='left')
    for column in ('check', 'status', 'found', 'cure'):
        table.add_column(column, overflow='fold', no_wrap=column in ('check', 'status'))
    for check in checks:
        label, style = STYLES[check.status]
        table.add_row(
            Text(check.name), Text(label, style=style), Text(shown(check.found, None)), Text(shown(check.cure, None))
        )
    console = Console()
    console.print(table)
    verdict = f'{problems} problem{"" if problems == 1 else "s"} found' if problems else 'no problems found'
    console.print(Text(verdict, style='red' if problems else 'green'))
