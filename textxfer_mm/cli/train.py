"""``textxfer train``: my folder of videos -> a model."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from textxfer_mm.cli.data.lists import Groups
from textxfer_mm.cli.model_options import CLIPModel, Device
from textxfer_mm.cli.progress import progress_on
from textxfer_mm.errors import UserError, shown
from textxfer_mm.files import require_writable_folder
from textxfer_mm.inputs import find_clip_folder, find_config, require_checkpoint, require_device_name, require_weights


def train(
    folder: Annotated[
        Path,
        typer.Argument(help='Folder with one folder of videos for each class, or a list: a path and a label a line.'),
    ],
    out: Annotated[
        Path | None, typer.Option(help='Folder for model and report; by default work_dirs/train/NAME OF FOLDER.')
    ] = None,
    labels_from: Annotated[
        str | None,
        typer.Option(
            help='Class names in the order of the labels: a .txt, .csv or .json file, or a dataset name. By default '
            'the names of the folders, and of a list classes.txt beside it.'
        ),
    ] = None,
    val: Annotated[
        Path | None, typer.Option(help='Videos to validate with, a folder or a list; by default some are drawn.')
    ] = None,
    groups: Groups = None,
    model: CLIPModel = None,
    pretrained: Annotated[str | None, typer.Option(help='open_clip tag or local file: weights of --model.')] = None,
    config: Annotated[str | None, typer.Option(help='Config of a recognizer to take the encoder of.')] = None,
    checkpoint: Annotated[Path | None, typer.Option(help='A trained model to take the encoder of.')] = None,
    check: Annotated[bool, typer.Option(help='Decode every video as a whole before.')] = True,
    finetune: Annotated[
        bool | None,
        typer.Option(help='Train the whole model too, on the videos themselves; by default where there is a GPU.'),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help='Seed of all draws.')] = 0,
    device: Device = None,
) -> None:
    """Make a model of a folder of videos, without a config.

    Broken videos are named and left out. A frozen encoder encodes every video once; classifiers on these features, and
    with --finetune the whole model, are compared on videos that they have not seen, and the best is written as one
    checkpoint, with its config and a report. Ctrl-C while the whole model is trained keeps the best of the others.

    Without --model, --config or --checkpoint the packaged encoder is taken: it needs no download, knows no motion
    and is far weaker than CLIP.
    """
    _check_options(model, pretrained, config, checkpoint, device)
    if not folder.expanduser().exists():
        raise UserError(
            f'{folder} does not exist: give a folder that holds one folder of videos for each class, or a list of a '
            'path and a label a line.'
        )
    out = out or Path('work_dirs/train') / folder.expanduser().resolve().stem
    require_writable_folder(out, '--out')

    console = Console()
    with console.status('importing'):
        from textxfer_mm.apis.folder_training import TrainingSettings, train_folder
        from textxfer_mm.log_bridge import warnings_only
    start = dict(model=model, pretrained=pretrained, config=config, checkpoint=checkpoint)
    settings = TrainingSettings(folder, out, labels_from, val, groups, seed, start, check, device, finetune)
    with progress_on(console) as tell, warnings_only():
        report = train_folder(
            settings, progress=tell, say=lambda line: console.print(Text(shown(line, None)), soft_wrap=True)
        )
    _tell(console, report, out)


def _check_options(
    model: str | None, pretrained: str | None, config: str | None, checkpoint: Path | None, device: str | None
) -> None:
    """Refuse what names nothing, before anything is imported."""
    if model is not None and (config is not None or checkpoint is not None):
        raise UserError('Give --model, or --config and --checkpoint, not both.')
    if pretrained is not None and model is None:
        raise UserError('--pretrained are the weights of a CLIP model: say which, such as --model ViT-B-32-quickgelu.')
    if model is not None and find_clip_folder(model) is not None and pretrained is not None:
        raise UserError(f'--model {model} is a folder, which holds its weights: leave --pretrained out.')
    if pretrained is not None:
        require_weights(pretrained, '--pretrained')
    if config is not None:
        find_config(config)
    if checkpoint is not None:
        require_checkpoint(checkpoint)
    if device is not None:
        require_device_name(device, '--device')


def _tell(console: Console, report: dict[str, Any], out: Path) -> None:
    """Print the table of candidates, what was kept, and where it lies."""
    table = Table()
    for column, justify in (('candidate', 'left'), ('top-1, %', 'right'), ('spread', 'right'), ('seconds', 'right')):
        table.add_column(column, justify=justify)
    for entry in report['candidates']:
        kept = entry['title'] == report['kept']
        cells = (f'{100 * entry["accuracy"]:.1f}', f'± {100 * entry["spread"]:.1f}', f'{entry["seconds"]:.1f}')
        title = entry['title'] + ('' if entry['folds'] == report['folds'] else f' ({entry["folds"]} folds)')
        table.add_row(title, *cells, style='bold' if kept else None)
    console.print(table)
    for line in (f'kept {report["kept_because"]}', f'chance is {100 * report["chance"]:.1f} %'):
        console.print(Text(shown(line, None)), soft_wrap=True)
    if report['warning']:
        console.print(Text(f'warning: {report["warning"]}', style='yellow'), soft_wrap=True)
    console.print(
        Text(f'model and report are in {shown(out)}, after {report["seconds"]["total"]:.0f} s'), soft_wrap=True
    )
    console.print(Text(f'textxfer predict VIDEO --checkpoint {shown(report["checkpoint"])}'), soft_wrap=True)
