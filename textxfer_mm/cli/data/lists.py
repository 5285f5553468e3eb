"""What the commands that write lists share: their options and what they print."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from textxfer_mm.errors import shown

if TYPE_CHECKING:
    from textxfer_mm.apis.data_tools import WrittenLists

Out = Annotated[Path | None, typer.Option('--out', help='Folder of the new lists; by default that of the source.')]
Val = Annotated[float, typer.Option(help='Share of the videos of each class for validation.')]
Test = Annotated[float, typer.Option(help='Share of the videos of each class for testing.')]
Groups = Annotated[
    str | None,
    typer.Option(
        help='What videos have in common that must stay on one side: "prefix" (the file name up to its last _ or -), '
        '"folder", or a regular expression such as "_(g[0-9]+)_".'
    ),
]
Seed = Annotated[int, typer.Option(help='Seed of the draw.')]
Overwrite = Annotated[bool, typer.Option('--overwrite', help='Replace lists that are there.')]
MultiLabel = Annotated[bool, typer.Option('--multi-label', help='All numbers of a line are labels.')]


def tell(written: 'WrittenLists') -> None:
    """Print which lists were written and what to know of them."""
    console = Console()
    for side, file in written.files.items():
        console.print(Text(f'{written.counts[side]:9,}  videos in {shown(file)}'), soft_wrap=True)
    for remark in written.remarks:
        console.print(Text(f'Note: {remark}'), soft_wrap=True)
    if written.delimiter != ' ':
        line = f'Paths hold spaces, so a tab divides path and label: set delimiter={written.delimiter!r} in datasets.'
        console.print(Text(line), soft_wrap=True)
