"""``textxfer data label-studio``: predictions as tasks for people, most uncertain first."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from textxfer_mm.apis.label_studio import UNCERTAINTIES, label_studio_tasks, read_scores
from textxfer_mm.errors import shown
from textxfer_mm.files import require_form, require_new_file, require_writable_file, write_text


def label_studio(
    scores: Annotated[Path, typer.Argument(metavar='SCORES', help='What predict --json or --shards wrote.')],
    out: Annotated[Path, typer.Argument(metavar='TASKS.json', help='File to import into Label Studio.')],
    root: Annotated[
        Path | None,
        typer.Option(help='The folder that Label Studio serves files from, its LOCAL_FILES_DOCUMENT_ROOT.'),
    ] = None,
    prefix: Annotated[
        str | None, typer.Option(help='Put before the paths instead of the address of local files: s3://bucket/ .')
    ] = None,
    uncertainty: Annotated[str, typer.Option(help=f'What is most uncertain: {", ".join(UNCERTAINTIES)}.')] = 'margin',
    number: Annotated[int | None, typer.Option(min=1, help='Write so many only, the most uncertain ones.')] = None,
    overwrite: Annotated[bool, typer.Option('--overwrite', help='Replace files that are there.')] = False,
    model_version: Annotated[str, typer.Option(help='What the predictions are listed under.')] = 'textxfer_mm',
) -> None:
    """Make tasks for Label Studio of predictions: the least certain first, each with the label that was predicted.

    Beside TASKS.json stands TASKS.xml, the labelling config: paste it into the settings of the project.
    """
    require_form(out, 'TASKS', '.json')
    config = out.with_suffix('.xml')
    require_writable_file(config, 'TASKS')
    for file in (out, config):
        require_new_file(file, overwrite)
    made = label_studio_tasks(
        read_scores(scores),
        uncertainty=uncertainty,
        root=root,
        prefix=prefix,
        model_version=model_version,
        number=number,
    )
    write_text(config, made.config)
    write_text(out, json.dumps(made.tasks, indent=1, ensure_ascii=False) + '\n')
    console = Console()
    console.print(Text(f'Wrote {shown(out)}, {len(made.tasks)} tasks, and {shown(config)}'), soft_wrap=True)
    if made.images:
        line = f'Left out, since a project shows videos or images: {len(made.images)} images; predict them apart'
        console.print(Text(line), soft_wrap=True)
    if made.failures:
        console.print(Text(f'Left out, without scores: {len(made.failures)}'), soft_wrap=True)
