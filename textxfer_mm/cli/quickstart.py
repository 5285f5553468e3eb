"""``textxfer quickstart``: the whole way from rendered videos to a report."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from textxfer_mm.cli.progress import progress_on
from textxfer_mm.errors import shown
from textxfer_mm.files import require_writable_folder
from textxfer_mm.interrupts import Terminated


def quickstart(
    work_dir: Annotated[Path, typer.Option(help='Folder for videos, checkpoint, logs, plots and report.')] = Path(
        'work_dirs/quickstart'
    ),
    seed: Annotated[int, typer.Option(min=0, help='Seed of the videos and of the training.')] = 0,
    train_clips: Annotated[int, typer.Option(min=1, help='Training clips a seen class.')] = 50,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs; by default the config's.")] = None,
) -> None:
    """Render toy videos, train on them, test with 4 x 3 views and zero-shot on unseen classes, predict, report."""
    require_writable_folder(work_dir, '--work-dir')
    # Read when torch is imported: threads that wait for each other give their core to the processes that decode.
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    console = Console()
    with console.status('importing'):
        from textxfer_mm import register_all_modules

        register_all_modules()
        from textxfer_mm.quickstart import STEPS, QuickstartSettings, run_quickstart

    with progress_on(console) as tell:

        def progress(step: str, done: int, total: int) -> None:
            tell(STEPS[step], done, total)

        def finished(step: str, seconds: float, note: str) -> None:
            tell.finish(STEPS[step])
            console.print(
                Text.assemble((f'{seconds:6.1f} s  ', 'green'), f'{STEPS[step]}: {shown(note, None)}'), soft_wrap=True
            )

        options = {} if epochs is None else _epochs(epochs)
        settings = QuickstartSettings(work_dir=work_dir, seed=seed, train_clips=train_clips, cfg_options=options)
        try:
            report = run_quickstart(settings, progress=progress, finished=finished)
        except (KeyboardInterrupt, Terminated) as stop:
            stop.args = (f'the videos in {work_dir} are kept; the same command does the rest anew',)
            raise
    done = Text(f'{report["seconds"]["total"]:6.1f} s  in all; see {shown(work_dir / "report.md")}', style='bold')
    console.print(done, soft_wrap=True)  # a path stays in one piece


def _epochs(number: int) -> dict[str, int]:
    """The config changes that make it train for a number of epochs."""
    return {'train_cfg.max_epochs': number, 'param_scheduler.1.T_max': number}
