"""``textxfer predict``: my video or image + my labels -> scores."""

import csv
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from textxfer_mm.cli.model_options import (
    Checkpoint,
    ChosenModel,
    CLIPModel,
    Device,
    Glosses,
    Labels,
    LabelsFile,
    ModelConfig,
    Pretrained,
    Template,
)
from textxfer_mm.errors import UserError, first_few, shown
from textxfer_mm.files import replacing, require_writable_file, write_text
from textxfer_mm.inputs import find_media

#: Bytes of a file name that are no UTF-8 are written as JSON has them.
_UTF8 = dict(encoding='utf-8', errors='backslashreplace')


def predict(
    videos: Annotated[Path, typer.Argument(metavar='VIDEO_OR_FOLDER', help='A video, an image, or a folder of them.')],
    labels: Labels = None,
    labels_file: LabelsFile = None,
    config: ModelConfig = None,
    checkpoint: Checkpoint = None,
    model: CLIPModel = None,
    pretrained: Pretrained = None,
    template: Template = None,
    glosses: Glosses = None,
    topk: Annotated[int, typer.Option(min=1, help='How many labels to show for each video.')] = 5,
    json_file: Annotated[Path | None, typer.Option('--json', help='Write all scores to this JSON file.')] = None,
    csv_file: Annotated[Path | None, typer.Option('--csv', help='Write all scores to this CSV file.')] = None,
    device: Device = None,
) -> None:
    """Recognise videos and images among the labels you give.

    A model of videos takes an image for a video of one frame, a model of images averages over frames of a video.

    Without --config, --checkpoint or --model the packaged model predicts: it needs no download, knows no motion and is
    far weaker than CLIP.
    """
    console = Console()
    options = dict(config=config, checkpoint=checkpoint, model=model, pretrained=pretrained, template=template)
    chosen = ChosenModel(labels, labels_file, **options, glosses=glosses, device=device)
    chosen.check_options()
    files = find_media(videos)
    chosen.check()
    for option, file in (('--json', json_file), ('--csv', csv_file)):
        if file is not None:
            require_writable_file(file, option)
    recognizer = chosen.load(console)

    from textxfer_mm.apis.inference import VideoFailure, predict_videos

    results = list(track(predict_videos(recognizer, files), 'Predicting', total=len(files), console=console))
    good = [r for r in results if not isinstance(r, VideoFailure)]
    failed = [r for r in results if isinstance(r, VideoFailure)]
    _write(json_file, csv_file, good, failed)  # whatever becomes of the terminal
    if good:
        console.print(_table(good, topk))
    for file in filter(None, (json_file, csv_file)):
        console.print(Text(f'Wrote {shown(file)}'), soft_wrap=True)
    if failed:
        listing = first_few((f'{f.video} ({f.reason})' for f in failed), 20, '; ')
        raise UserError(f'{len(failed)} of {len(files)} videos could not be decoded: {listing}')


def _table(predictions: list[Any], topk: int) -> Table:
    table = Table()
    for column, justify in (('video', 'left'), ('rank', 'right'), ('label', 'left'), ('score', 'right')):
        table.add_column(column, justify=justify, overflow='fold')
    for prediction in predictions:
        for rank, (name, score) in enumerate(prediction.top(topk), 1):
            video = Text(shown(Path(prediction.video).name)) if rank == 1 else ''
            table.add_row(video, str(rank), Text(shown(name)), f'{score:.3f}')
        table.add_section()
    return table


def _write(json_file: Path | None, csv_file: Path | None, good: list[Any], failed: list[Any]) -> None:
    """Write the scores; a file appears whole or not at all."""
    if json_file is not None:
        rows = [dict(video=p.video, scores=dict(p.top(len(p.scores)))) for p in good]
        errors = [dict(video=f.video, error=f.reason) for f in failed]
        write_text(json_file, json.dumps(rows + errors, indent=2, ensure_ascii=False, allow_nan=False))
    if csv_file is not None:
        with replacing(csv_file) as part, part.open('w', newline='', **_UTF8) as file:
            writer = csv.writer(file)
            writer.writerow(['video', 'rank', 'label', 'score'])
            for p in good:
                writer.writerows([p.video, i, n, f'{s:.6f}'] for i, (n, s) in enumerate(p.top(len(p.scores)), 1))
