"""``textxfer toy-actions``: render the toy videos."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from textxfer_mm.cli.progress import progress_on
from textxfer_mm.errors import shown
from textxfer_mm.files import require_writable_folder


def toy_actions(
    folder: Annotated[Path, typer.Argument(metavar='DIR', help='Folder to write videos and lists to.')],
    seed: Annotated[int, typer.Option(min=0, help='Seed of all clips.')] = 0,
    train_clips: Annotated[int, typer.Option(min=1, help='Training clips a seen class.')] = 50,
    val_clips: Annotated[int, typer.Option(min=1, help='Validation clips a seen class.')] = 10,
    zero_shot_clips: Annotated[int, typer.Option(min=1, help='Clips of each unseen class.')] = 20,
) -> None:
    """Render short videos of drawn people: 17 classes to train on and 4 unseen ones, with annotation lists."""
    require_writable_folder(folder, 'DIR')
    from textxfer_mm.datasets.toy_actions import render_toy_actions

    console = Console()
    with progress_on(console) as tell:
        root = render_toy_actions(
            folder,
            seed=seed,
            train_clips=train_clips,
            val_clips=val_clips,
            zero_shot_clips=zero_shot_clips,
            progress=lambda done, total: tell('Rendering', done, total),
        )
    lists = ', '.join(f'{path.name} ({len(path.read_text().splitlines())})' for path in sorted(root.glob('*.txt')))
    console.print(Text(f'{shown(root)}: {lists}'), soft_wrap=True)
