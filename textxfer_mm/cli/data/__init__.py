"""``textxfer data``: lists of videos, made, split and looked at before a run; one file a subcommand."""

import typer

from textxfer_mm.cli.data import check, from_folder, label_studio, labels, split

app = typer.Typer(name='data', no_args_is_help=True, help='Make lists of videos, and look at them before a run does.')


@app.callback()
def data() -> None:
    """Make lists of videos, and look at them before a run does."""


app.command('check')(check.check)
app.command('from-folder')(from_folder.from_folder)
app.command('split')(split.split)
app.command('labels')(labels.labels)
app.command('label-studio')(label_studio.label_studio)
