"""``textxfer predict``: my video or image + my labels -> scores."""

import csv
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, track
from rich.table import Table
from rich.text import Text

from textxfer_mm.errors import UserError, first_few, shown
from textxfer_mm.files import replacing, require_writable_file, write_text
from textxfer_mm.inputs import (
    find_clip_folder,
    find_config,
    find_media,
    require_checkpoint,
    require_device_name,
    require_weights,
)
from textxfer_mm.text.class_names import check_class_names, load_class_names
from textxfer_mm.text.glosses.table import gloss_table
from textxfer_mm.text.templates import TEMPLATES, resolve_templates

#: Bytes of a file name that are no UTF-8 are written as JSON has them.
_UTF8 = dict(encoding='utf-8', errors='backslashreplace')


def predict(
    videos: Annotated[Path, typer.Argument(metavar='VIDEO_OR_FOLDER', help='A video, an image, or a folder of them.')],
    labels: Annotated[str | None, typer.Option(help='Class names, separated by commas.')] = None,
    labels_file: Annotated[
        str | None, typer.Option(help='Class names: a .txt, .csv or .json file, or a dataset name (kinetics400).')
    ] = None,
    config: Annotated[str | None, typer.Option(help='Config of the model; needs no checkpoint for zero-shot.')] = None,
    checkpoint: Annotated[Path | None, typer.Option(help='A trained model; its own config is used by default.')] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help='A CLIP model instead: a name of open_clip such as ViT-B-32-quickgelu, or a folder with '
            'open_clip_config.json and weights.'
        ),
    ] = None,
    pretrained: Annotated[
        str | None,
        typer.Option(
            help="open_clip tag or local file: weights of --model (openai by default), or of a config's text encoder."
        ),
    ] = None,
    template: Annotated[
        str | None, typer.Option(help="Prompt such as 'a video of a person {}.', or the name of a template set.")
    ] = None,
    glosses: Annotated[
        str | None,
        typer.Option(
            help='Glosses behind the class names: kinetics400, ucf101, hmdb51, imagenet1k, or a .csv or .json file; '
            'none leaves out those of the model.'
        ),
    ] = None,
    topk: Annotated[int, typer.Option(min=1, help='How many labels to show for each video.')] = 5,
    json_file: Annotated[Path | None, typer.Option('--json', help='Write all scores to this JSON file.')] = None,
    csv_file: Annotated[Path | None, typer.Option('--csv', help='Write all scores to this CSV file.')] = None,
    device: Annotated[str | None, typer.Option(help='cpu, cuda, ...; by default the GPU where there is one.')] = None,
) -> None:
    """Recognise videos and images among the labels you give.

    A model of videos takes an image for a video of one frame, a model of images averages over frames of a video.

    Without --config, --checkpoint or --model the packaged model predicts: it needs no download, knows no motion and is
    far weaker than CLIP.
    """
    console = Console()
    _check_options(labels, labels_file, config, checkpoint, model, pretrained)
    files = find_media(videos)
    names = _class_names(labels, labels_file, distinct=glosses is None)
    if glosses is not None:
        _check_glosses(glosses, names)
    _check_files(config, checkpoint, json_file, csv_file)
    _check_words(model, template, pretrained, device)

    with console.status('Loading the model ...'):
        from textxfer_mm import register  # noqa: F401
        from textxfer_mm.apis.inference import VideoFailure, load_recognizer, predict_videos
        from textxfer_mm.engine.classes import set_template

        cfg = _choose_config(config, checkpoint, model, pretrained, names)
        if template is not None:
            set_template(cfg, template)
        recognizer = load_recognizer(cfg, checkpoint, class_names=names, glosses=glosses, device=device)
    _embed_names(recognizer, console)
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


def _check_options(
    labels: str | None,
    labels_file: str | None,
    config: str | None,
    checkpoint: Path | None,
    model: str | None,
    pretrained: str | None,
) -> None:
    """Refuse options that exclude each other, or lack one another."""
    if labels is not None and labels_file is not None:
        raise UserError('Give --labels or --labels-file, not both.')
    if model is not None and (config is not None or checkpoint is not None):
        raise UserError('Give --model, or --config and --checkpoint, not both.')
    if config is None and checkpoint is None:
        if pretrained is not None and model is None:
            raise UserError(
                '--pretrained are the weights of a CLIP model: say which, such as --model ViT-B-32-quickgelu.'
            )
        if labels is None and labels_file is None:
            raise UserError('Say which labels to look for: --labels "waving,clapping" or --labels-file labels.txt.')


def _class_names(labels: str | None, labels_file: str | None, distinct: bool) -> tuple[str, ...] | None:
    """The class names that were given, if any."""
    if labels is not None:
        return load_class_names([name.strip() for name in labels.split(',')], distinct=distinct)
    return None if labels_file is None else load_class_names(labels_file, distinct=distinct)


def _check_glosses(glosses: str, names: tuple[str, ...] | None) -> None:
    """Check that glosses are known, and that they are of the class names, where these were given."""
    if glosses == 'none':
        return
    table = gloss_table(glosses)
    if names is not None:
        check_class_names(names, table.find(names))


def _check_files(config: str | None, checkpoint: Path | None, json_file: Path | None, csv_file: Path | None) -> None:
    """Check that what is to be read is there, and that what is to be written can be."""
    if config is not None:
        find_config(config)
    if checkpoint is not None:
        require_checkpoint(checkpoint)
    for option, file in (('--json', json_file), ('--csv', csv_file)):
        if file is not None:
            require_writable_file(file, option)


def _check_words(model: str | None, template: str | None, pretrained: str | None, device: str | None) -> None:
    """Check, as far as that is known without torch, that these name something."""
    if model is not None and find_clip_folder(model) is not None and pretrained is not None:
        raise UserError(f'--model {model} is a folder, which holds its weights: leave --pretrained out.')
    if template is not None and template not in TEMPLATES:
        resolve_templates(template)
    if pretrained is not None:
        require_weights(pretrained, '--pretrained')
    if device is not None:
        require_device_name(device, '--device')


def _choose_config(
    config: str | None,
    checkpoint: Path | None,
    model: str | None,
    pretrained: str | None,
    names: tuple[str, ...] | None,
) -> Any:
    """The config of the model that was asked for."""
    from textxfer_mm.apis.model_configs import (
        DEFAULT_CONFIG,
        clip_zero_shot_config,
        config_of_checkpoint,
        load_config,
    )
    from textxfer_mm.engine.classes import set_text_weights
    from textxfer_mm.text.clip_folders import read_clip_folder

    if config is not None or checkpoint is not None:
        cfg = load_config(config) if config is not None else config_of_checkpoint(checkpoint)
        if pretrained is not None:
            try:
                set_text_weights(cfg, pretrained)
            except UserError as error:
                raise UserError(f'--pretrained without --model: {error}') from error
        return cfg
    if model is not None:
        if find_clip_folder(model) is None:
            return clip_zero_shot_config(model, pretrained or 'openai', names)
        folder = read_clip_folder(model)
        return clip_zero_shot_config(folder.arch, str(folder.weights), names)
    return load_config(DEFAULT_CONFIG)


def _embed_names(recognizer: Any, console: Console) -> None:
    """Embed the class names, unless the model has rows already: many of them take minutes, which a bar shows."""
    from textxfer_mm.engine.classes import rows_of
    from textxfer_mm.text.encoding import telling_progress

    rows = rows_of(recognizer)
    if rows is None or rows.is_filled:
        return
    with Progress(console=console, transient=True) as bars:
        task = bars.add_task('Embedding the class names', total=None)
        with telling_progress(lambda done, total: bars.update(task, completed=done, total=total)):
            rows.fill()


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
