"""``textxfer timeline``: what happens when in a long video."""

import json
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from textxfer_mm.apis.clocks import clock
from textxfer_mm.cli.model_options import (
    Checkpoint,
    ChosenModel,
    CLIPModel,
    Dataset,
    Device,
    Glosses,
    Labels,
    LabelsFile,
    ModelConfig,
    Pretrained,
    Template,
)
from textxfer_mm.cli.progress import progress_on
from textxfer_mm.errors import UserError, shown
from textxfer_mm.files import require_form, require_png, write_text
from textxfer_mm.inputs import is_image, require_file, require_seconds, require_threshold


def timeline(
    video: Annotated[Path, typer.Argument(metavar='VIDEO', help='A video of any length.')],
    labels: Labels = None,
    labels_file: LabelsFile = None,
    config: ModelConfig = None,
    checkpoint: Checkpoint = None,
    model: CLIPModel = None,
    pretrained: Pretrained = None,
    template: Template = None,
    glosses: Glosses = None,
    dataset: Dataset = None,
    window: Annotated[
        float | None, typer.Option(help="Seconds that the model sees at once; by default by the model's own sampling.")
    ] = None,
    stride: Annotated[float | None, typer.Option(help='Seconds from window to window; by default half of one.')] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help='The least score of a label, 0 to 1; below it there is none of these. By default 0, or 0.5 for models '
            'with several labels at once.'
        ),
    ] = None,
    smoothing: Annotated[float, typer.Option(help='Average the scores over so many seconds.')] = 0.0,
    min_length: Annotated[float, typer.Option(help='Shorter segments, in seconds, go to a neighbour.')] = 0.0,
    json_file: Annotated[Path | None, typer.Option('--json', help='Write segments and scores to this file.')] = None,
    csv_file: Annotated[Path | None, typer.Option('--csv', help='Write the segments to this CSV file.')] = None,
    vtt_file: Annotated[
        Path | None, typer.Option('--vtt', help='Write the segments as subtitles (WebVTT), for any player.')
    ] = None,
    plot: Annotated[Path | None, typer.Option(help='Draw labels over time to this PNG file.')] = None,
    device: Device = None,
) -> None:
    """Find what happens when in a video: segments of the labels you give, with start, end and score.

    Windows slide over the video; each frame is decoded once, and encoded once where the model sees frame by frame. The
    memory for frames does not grow with the length.
    """
    console = Console()
    options = dict(config=config, checkpoint=checkpoint, model=model, pretrained=pretrained, template=template)
    chosen = ChosenModel(labels, labels_file, **options, glosses=glosses, device=device, dataset=dataset)
    chosen.check_options()
    require_file(video, 'video', '*.*')
    if is_image(video):
        raise UserError(f'{video} is an image, which has no timeline: give a video.')
    chosen.check()
    require_seconds(window, '--window')
    require_seconds(stride, '--stride')
    require_threshold(threshold, '--threshold')
    require_seconds(smoothing, '--smoothing', may_be_zero=True)
    require_seconds(min_length, '--min-length', may_be_zero=True)
    for form, file in (('json', json_file), ('csv', csv_file), ('vtt', vtt_file)):
        if file is not None:
            require_form(file, f'--{form}', f'.{form}')
    if plot is not None:
        require_png(plot, '--plot')
    recognizer = chosen.load(console)

    from textxfer_mm.apis.timelines import timeline as run

    with progress_on(console) as tell:
        lengths = dict(window=window, stride=stride, smoothing=smoothing, min_length=min_length)
        found = run(recognizer, video, **lengths, threshold=threshold, progress=partial(tell, 'Windows'))
    _write(found, json_file, csv_file, vtt_file, plot)  # whatever becomes of the terminal
    _show(console, found)
    for file in filter(None, (json_file, csv_file, vtt_file, plot)):
        console.print(Text(f'Wrote {shown(file)}'), soft_wrap=True)


def _write(found: Any, json_file: Path | None, csv_file: Path | None, vtt_file: Path | None, plot: Path | None) -> None:
    """Write what was asked for; a file appears whole or not at all."""
    from textxfer_mm.apis.timelines import as_csv, as_dict, as_webvtt

    if json_file is not None:
        write_text(json_file, json.dumps(as_dict(found), ensure_ascii=False, allow_nan=False) + '\n')
    if csv_file is not None:
        write_text(csv_file, as_csv(found))
    if vtt_file is not None:
        write_text(vtt_file, as_webvtt(found))
    if plot is not None:
        from textxfer_mm.visualization import plot_timeline

        segments = [(segment.label, segment.start, segment.end) for segment in found.segments]
        lines = dict(class_names=found.class_names, edges=found.edges, scores=found.scores, segments=segments)
        plot_timeline(plot, **lines, title=Path(found.video).name)


def _show(console: Console, found: Any) -> None:
    """Print the segments and what must be known beside them."""
    table = Table()
    for column, justify in (('start', 'right'), ('end', 'right'), ('label', 'left'), ('score', 'right')):
        table.add_column(column, justify=justify, overflow='fold')
    for segment in found.segments:
        style = 'dim' if segment.label is None else ''
        times = (clock(segment.start), clock(segment.end))
        table.add_row(*times, Text(shown(segment.shown_label)), f'{segment.score:.3f}', style=style)
    console.print(table)
    one, number = f'of {found.window:.2f} s', len(found.starts)
    windows = f'1 window {one}' if number == 1 else f'{number:,} windows {one}, one every {found.stride:.2f} s'
    frames = f'{found.frames:,} frames, {found.encoded:,} encoded'
    console.print(Text(f'{windows}; {frames}.'), soft_wrap=True)
    for note in found.notes:
        console.print(Text(note), soft_wrap=True)
