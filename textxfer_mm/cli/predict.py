"""``textxfer predict``: my videos and images + my labels -> scores."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from textxfer_mm.cli.exported_options import ExportedOptions, Rows, TextEncoderFile, refuse_exported_options
from textxfer_mm.cli.model_options import (
    Checkpoint,
    ChosenModel,
    CLIPOrExportedModel,
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
from textxfer_mm.errors import UnwritableError, UserError, first_few, shown
from textxfer_mm.files import require_writable_folder
from textxfer_mm.inputs import is_exported
from textxfer_mm.interrupts import Terminated

#: Files that the table shows.
ROWS = 50
#: Failures that the message names.
FAILURES = 20


def predict(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar='PATH...',
            help="Videos, images, folders (with subfolders), patterns ('videos/**/*.mp4'), and lists (.txt).",
        ),
    ],
    labels: Labels = None,
    labels_file: LabelsFile = None,
    config: ModelConfig = None,
    checkpoint: Checkpoint = None,
    model: CLIPOrExportedModel = None,
    pretrained: Pretrained = None,
    template: Template = None,
    glosses: Glosses = None,
    dataset: Dataset = None,
    rows: Rows = None,
    text_encoder: TextEncoderFile = None,
    topk: Annotated[int, typer.Option(min=1, help='How many labels to show for each file.')] = 5,
    json_file: Annotated[
        Path | None,
        typer.Option(
            '--json', help='Write all scores to this file: JSON lines as they come (.jsonl), or one array (.json).'
        ),
    ] = None,
    csv_file: Annotated[
        Path | None, typer.Option('--csv', help='Write all scores to this file (.csv), as they come.')
    ] = None,
    resume: Annotated[
        bool, typer.Option('--resume', help='Go on with the files of scores of a run that ended.')
    ] = False,
    shards: Annotated[
        Path | None,
        typer.Option(help='Write the scores to this folder, 1,000 files a shard, which processes and machines share.'),
    ] = None,
    save_video: Annotated[
        Path | None, typer.Option(help='Write copies with labels and scores drawn in to this folder (MP4, PNG).')
    ] = None,
    amp: Annotated[bool, typer.Option('--amp', help='Mixed precision: bfloat16, or float16 on older GPUs.')] = False,
    batch_size: Annotated[int, typer.Option(min=1, help='Clips that go through the model at once.')] = 8,
    workers: Annotated[
        int | None, typer.Option(min=0, help='Processes that decode ahead of the model; by default by the cores.')
    ] = None,
    device: Device = None,
) -> None:
    """Recognise videos and images among the labels you give.

    A model of videos takes an image for a video of one frame, a model of images averages over frames of a video.

    Without --config, --checkpoint or --model the packaged model predicts: it needs no download, knows no motion and is
    far weaker than CLIP. --model also takes what `textxfer export` wrote (.onnx, .pt2): that needs no MMAction2.
    """
    from textxfer_mm.apis.media_files import find_media

    console = Console()
    options = dict(config=config, checkpoint=checkpoint, model=model, pretrained=pretrained, template=template)
    options |= dict(glosses=glosses, device=device, dataset=dataset)
    chosen: ChosenModel | ExportedOptions
    if is_exported(model):
        chosen = ExportedOptions(labels, labels_file, **options, rows=rows, text_encoder=text_encoder)
        chosen.refuse_others(amp=amp, workers=workers)
    else:
        refuse_exported_options(rows, text_encoder)
        chosen = ChosenModel(labels, labels_file, **options)
    chosen.check_options()
    media = find_media(paths)
    chosen.check()
    for note in media.notes:
        console.print(Text(note), soft_wrap=True)
    run = _run_of([str(file) for file in media.files], json_file, csv_file, shards, resume)
    copies = None if save_video is None else _Copies(save_video, media, topk)
    if len(run.todo) < run.total:
        done = run.total - len(run.todo)
        rest = '' if run.todo else ' Nothing is left.'
        console.print(f'{done:,} of {run.total:,} {media.noun} were done before.{rest}')
    # Read when torch is imported: threads that wait for each other give their core to the processes that decode.
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')

    def load() -> Any:
        if isinstance(chosen, ExportedOptions):
            return chosen.load(console, batch_size)
        _take_own_gpu(run, device)
        loaded = chosen.load(console)
        from textxfer_mm.apis.recognizer import Recognizer

        return Recognizer(loaded, amp=amp, batch_size=batch_size, workers=workers)

    seen = _recognise(console, run, load, copies, media.noun)
    run.finish()  # whatever becomes of the terminal
    _show(console, run, seen, media, topk, copies)


def _run_of(
    names: Sequence[str], json_file: Path | None, csv_file: Path | None, shards: Path | None, resume: bool
) -> Any:
    """What is to be done, and where it goes."""
    from textxfer_mm.apis.prediction_runs import FilesRun, ShardsRun

    if shards is None:
        return FilesRun(names, json_file, csv_file, resume=resume)
    if json_file is not None or csv_file is not None:
        raise UserError('--shards writes JSON lines to its folder: leave --json and --csv out.')
    return ShardsRun(names, shards)


def _take_own_gpu(run: Any, device: str | None) -> None:
    """Let each of several processes of a machine take a GPU of its own, where none was named."""
    place = getattr(run, 'place', None)
    if place is None or place.world_size == 1 or device is not None:
        return
    import torch

    if torch.cuda.is_available():
        torch.cuda.set_device(place.local_rank % torch.cuda.device_count())


class _Copies:
    """Writes labelled copies.

    Args:
        folder: Where they go.
        media: All files.
        topk: How many labels are drawn.

    Attributes:
        written: How many there are.
        notes: What could not be copied, and why.
    """

    def __init__(self, folder: Path, media: Any, topk: int) -> None:
        from textxfer_mm.apis.labelled_media import labelled_paths

        self.folder = require_writable_folder(folder, '--save-video')
        self._paths, self._topk = labelled_paths(self.folder, media.files, media.below), topk
        self.written, self.notes = 0, []

    def __call__(self, position: int, result: Any) -> None:
        """Write the copy of a file, unless it could not be decoded."""
        from textxfer_mm.apis.labelled_media import save_labelled

        if hasattr(result, 'reason'):
            return
        try:
            save_labelled(result, self._paths[position], self._topk)
            self.written += 1
        except UnwritableError:
            raise
        except UserError as error:
            self.notes.append(str(error))


@dataclass
class _Seen:
    """What is shown at the end: no more than the first files, however many there are.

    Attributes:
        first: Positions and predictions of the first.
        predicted: How many were predicted.
        failures: The first that could not be decoded, with the reason.
    """

    first: list[tuple[int, Any]] = field(default_factory=list)
    predicted: int = 0
    failures: list[str] = field(default_factory=list)

    def add(self, position: int, result: Any) -> None:
        """Take note of a result."""
        if hasattr(result, 'reason'):
            if len(self.failures) < FAILURES:
                self.failures.append(f'{result.video} ({result.reason})')
            return
        self.predicted += 1
        if len(self.first) < ROWS:
            self.first.append((position, result))


def _recognise(console: Console, run: Any, load: Callable[[], Any], copies: _Copies | None, noun: str) -> _Seen:
    """Recognise what is left to be done, and write it as it comes."""
    seen = _Seen()
    if not run.todo:
        return seen
    recognizer = load()
    try:
        with progress_on(console) as tell:
            before = run.total - len(run.todo)
            tell(f'Predicting {noun}', before, run.total)
            for position, result in zip(run.todo, run.recognise(recognizer, copies), strict=True):
                before += 1
                tell(f'Predicting {noun}', before, run.total)
                seen.add(position, result)
    except (KeyboardInterrupt, Terminated):
        if run.kept():
            Console(stderr=True).print(Text(run.kept()), soft_wrap=True)
        raise
    return seen


def _show(console: Console, run: Any, seen: _Seen, media: Any, topk: int, copies: _Copies | None) -> None:
    """Print the first results, what was written and what could not be decoded.

    Raises:
        UserError: Something could not be decoded.
    """
    if seen.first:
        console.print(_table(seen, media, topk))
    for file in run.targets:
        console.print(Text(f'Wrote {shown(file)}'), soft_wrap=True)
    if copies is not None:
        for note in copies.notes:
            console.print(Text(note), soft_wrap=True)
        console.print(Text(f'Wrote {copies.written:,} labelled copies to {shown(copies.folder)}'), soft_wrap=True)
    for note in run.notes():
        console.print(Text(note), soft_wrap=True)
    if run.failed:
        more = f'; ... ({run.failed:,} in all)' if run.failed > len(seen.failures) > 0 else ''
        listing = first_few(seen.failures, FAILURES, '; ') or 'in an earlier run'
        raise UserError(f'{run.failed:,} of {run.total:,} {media.noun} could not be decoded: {listing}{more}')


def _table(seen: _Seen, media: Any, topk: int) -> Table:
    more = seen.predicted - len(seen.first)
    table = Table(
        caption=f'the first {ROWS} of {seen.predicted:,} {media.noun}; --json and --csv write all' if more else None
    )
    for column, justify in ((media.noun[:-1], 'left'), ('rank', 'right'), ('label', 'left'), ('score', 'right')):
        table.add_column(column, justify=justify, overflow='fold')
    for position, prediction in seen.first:
        for rank, (name, score) in enumerate(prediction.top(topk), 1):
            file = Text(shown(media.below[position])) if rank == 1 else ''
            table.add_row(file, str(rank), Text(shown(name)), f'{score:.3f}')
        table.add_section()
    return table
