"""``textxfer card``: the model card of a checkpoint."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from textxfer_mm.cli.model_options import Dataset
from textxfer_mm.errors import shown
from textxfer_mm.files import require_new_file, require_writable_file, write_text
from textxfer_mm.inputs import find_config, require_checkpoint


def card(
    checkpoint: Annotated[Path, typer.Argument(metavar='CHECKPOINT', help='A trained model.')],
    config: Annotated[str | None, typer.Option(help='Its config, for a checkpoint that holds none.')] = None,
    out: Annotated[Path, typer.Option(help='Markdown file to write.')] = Path('README.md'),
    results: Annotated[
        list[Path] | None,
        typer.Option(help='What evaluate --json wrote for this checkpoint; may be given several times.'),
    ] = None,
    name: Annotated[str | None, typer.Option(help='What the model is called; by default as its file.')] = None,
    license_name: Annotated[
        str | None, typer.Option('--license', help='Such as apache-2.0, as model hubs write it.')
    ] = None,
    dataset: Dataset = None,
    overwrite: Annotated[bool, typer.Option('--overwrite', help='Replace a file that is there.')] = False,
) -> None:
    """Describe a checkpoint for those who will use it: input, classes, training, what was measured.

    The header is what the Hugging Face hub reads. What a checkpoint cannot know is left to be written, and marked so.
    """
    require_checkpoint(checkpoint)
    if config is not None:
        find_config(config)
    require_writable_file(out, '--out')
    require_new_file(out, overwrite)
    console = Console()
    with console.status('importing'):
        from textxfer_mm import register_all_modules

        register_all_modules()
        from textxfer_mm.analysis.model_card import model_card
        from textxfer_mm.apis.evaluation.seeds import read_results
        from textxfer_mm.log_bridge import warnings_only

    options = dict(results=read_results(results or ()), name=name, license_name=license_name, dataset=dataset)
    with warnings_only():
        text = model_card(checkpoint, config=config, **options)
    write_text(out, text)
    console.print(Text(f'Wrote {shown(out)}; its last section is yours to write.'), soft_wrap=True)
