"""``textxfer data check``: what a collection of videos is worth."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from textxfer_mm.cli.progress import progress_on
from textxfer_mm.errors import UserError, nearest, shown
from textxfer_mm.files import require_form, write_text

#: Rows of the table; the JSON file has all.
ROWS = 50


def check(
    source: Annotated[Path, typer.Argument(metavar='LIST_OR_FOLDER', help='An annotation list, or a folder.')],
    data_root: Annotated[
        Path | None, typer.Option(help='Folder where the paths of a list begin; by default that of the list.')
    ] = None,
    min_frames: Annotated[int, typer.Option(min=1, help='Videos with fewer frames are called short.')] = 8,
    released: Annotated[
        str | None,
        typer.Option(help='Size of the released dataset to compare with: a number, or a name such as kinetics400-val.'),
    ] = None,
    json_file: Annotated[Path | None, typer.Option('--json', help='Write what was found to this JSON file.')] = None,
    workers: Annotated[int | None, typer.Option(min=1, help='Processes that decode; by default one a core.')] = None,
) -> None:
    """Decode every video, and name those that are missing, corrupt, short, odd or wrongly seekable.

    A file that kills its decoder costs that file only. The exit status is 0 where every video gives frames, 1 where one
    does not, 2 after a mistake.
    """
    from textxfer_mm.apis.data_check import REMARKS, check_videos, summary, videos_to_check

    console = Console()
    size = None if released is None else _released_size(released)
    if json_file is not None:
        require_form(json_file, '--json', '.json')
    videos = videos_to_check(source, data_root)
    found = check_videos(videos, min_frames=min_frames, workers=workers)
    reports = []
    with progress_on(console) as tell:
        for report in found:
            reports.append(report)
            tell('Decoding', len(reports), len(videos))
    result = summary(reports, size)
    if json_file is not None:
        write_text(json_file, json.dumps(result, indent=2, ensure_ascii=False))
    if result['videos']:
        console.print(_table(result['videos'], source))
    for remark, meaning in REMARKS.items():
        console.print(Text(f'{result[remark]:9,}  {remark}: {meaning}'), soft_wrap=True)
    console.print(Text(f'{result["readable"]:9,}  of {len(videos):,} videos give frames'), soft_wrap=True)
    if size is not None:
        kept = f'{result["share_kept"]:9.1%}  kept of the {size:,} videos of {released}'
        console.print(Text(kept), soft_wrap=True)
    if json_file is not None:
        console.print(Text(f'Wrote {json_file}'), soft_wrap=True)
    if result['readable'] < len(videos):
        raise typer.Exit(1)


def _released_size(released: str) -> int:
    """The number of videos that ``--released`` stands for."""
    from textxfer_mm.apis.data_check import RELEASED

    if released in RELEASED:
        return RELEASED[released]
    number = released.replace(',', '').replace('_', '')
    if not number.isdecimal() or int(number) == 0:
        raise UserError(f'--released {shown(released)} is neither a number nor a name.{nearest(released, RELEASED)}')
    return int(number)


def _table(rows: list[dict[str, Any]], source: Path) -> Table:
    """The first rows of what was remarked."""
    more = f'the first {ROWS} of {len(rows):,}; --json has all' if len(rows) > ROWS else None
    table = Table(caption=more)
    for column in ('video', 'remark', 'why'):
        table.add_column(column, overflow='fold')
    for row in rows[:ROWS]:
        path = Path(row['video'])
        name = str(path.relative_to(source)) if source.is_dir() and path.is_relative_to(source) else str(path)
        for number, (remark, why) in enumerate(row['remarks'].items()):
            table.add_row(Text('' if number else shown(name)), remark, Text(shown(why)))
        table.add_section()
    return table
