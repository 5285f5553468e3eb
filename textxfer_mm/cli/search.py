"""``textxfer search``: which of my videos, and where in them."""

import json
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from textxfer_mm.apis.clocks import clock
from textxfer_mm.apis.media_files import find_media
from textxfer_mm.cli.model_options import Checkpoint, ChosenModel, CLIPModel, Device, ModelConfig, Pretrained
from textxfer_mm.cli.progress import progress_on
from textxfer_mm.errors import UserError, first_few, shown
from textxfer_mm.files import require_form, require_png, require_writable_folder, write_text
from textxfer_mm.inputs import find_query_file, is_image, require_cosine, require_seconds
from textxfer_mm.interrupts import Terminated
from textxfer_mm.text.templates import TEMPLATES, resolve_templates

#: Damaged files that are named.
_NAMED = 10


def search(
    query: Annotated[str, typer.Argument(metavar='QUERY', help='A text, or a video or image to find the like of.')],
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar='[PATH]...',
            help="Videos, images, folders (with subfolders), patterns ('videos/**/*.mp4'), and lists (.txt). Without "
            'any, the index is searched as it is.',
        ),
    ] = None,
    config: ModelConfig = None,
    checkpoint: Checkpoint = None,
    model: CLIPModel = None,
    pretrained: Pretrained = None,
    template: Annotated[
        str | None,
        typer.Option(help="Prompt such as 'a video of {}.', or the name of a template set; by default the text alone."),
    ] = None,
    index: Annotated[
        Path | None, typer.Option(help='Folder of the index; by default one in the cache, by paths and model.')
    ] = None,
    topk: Annotated[int, typer.Option(min=1, help='How many moments to show.')] = 10,
    per_file: Annotated[int, typer.Option(min=1, help='The most of one file.')] = 3,
    threshold: Annotated[
        float | None, typer.Option(help='The least score, -1 to 1; by default the best are shown, however low.')
    ] = None,
    window: Annotated[
        float | None, typer.Option(help="Seconds of a moment; by default by the model's own sampling.")
    ] = None,
    stride: Annotated[float | None, typer.Option(help='Seconds from one to the next; by default half of one.')] = None,
    json_file: Annotated[Path | None, typer.Option('--json', help='Write what was found to this file.')] = None,
    csv_file: Annotated[Path | None, typer.Option('--csv', help='Write what was found to this CSV file.')] = None,
    sheet: Annotated[Path | None, typer.Option(help='Draw thumbnails of what was found to this PNG file.')] = None,
    rebuild: Annotated[bool, typer.Option('--rebuild', help='Index everything anew.')] = False,
    device: Device = None,
) -> None:
    """Find moments of videos, and images, by a text or by another video or image.

    The videos are indexed once; later searches encode only what is new or has changed. Every moment is compared. The
    score is a cosine, and no probability: the best are listed, whether or not what you asked for is there.

    Without --config, --checkpoint or --model the packaged model searches: it needs no download, knows objects and no
    motion, and is far weaker than CLIP.
    """
    console = Console()
    options = dict(config=config, checkpoint=checkpoint, model=model, pretrained=pretrained, template=None)
    chosen = ChosenModel(None, None, **options, glosses=None, device=device, for_any_text=True)
    chosen.check_options()
    is_text = find_query_file(query) is None
    media = find_media(paths) if paths else None
    if media is None and (index is None or rebuild):
        raise UserError('Give the videos to search in: a folder, files, a pattern or a list; or --index of an index.')
    chosen.check()
    _check(template, threshold, window, stride, json_file, csv_file, sheet)
    _check_places(index, paths, sheet)
    for note in media.notes if media else ():
        console.print(Text(note), soft_wrap=True)
    recognizer = chosen.load(console)

    from textxfer_mm.apis.search import VideoSearch, require_text

    if is_text:  # before hours of indexing
        require_text(recognizer, query, template)
    made = dict(template=template, index=index, window=window, stride=stride, rebuild=rebuild)
    try:
        with progress_on(console) as tell:
            finder = VideoSearch(paths or None, recognizer, **made, progress=partial(_tell, tell))
    except (KeyboardInterrupt, Terminated):
        if paths:
            Console(stderr=True).print(
                'What was indexed is kept; the same command without --rebuild goes on with the rest.'
            )
        raise
    _tell_update(console, finder)
    found = finder(query, topk=topk, per_file=per_file, threshold=threshold)
    _write(found, json_file, csv_file, sheet)  # whatever becomes of the terminal
    _show(console, found)
    for file in filter(None, (json_file, csv_file, sheet)):
        console.print(Text(f'Wrote {shown(file)}'), soft_wrap=True)


def _tell(tell: Any, title: str, done: int, total: int) -> None:
    """Show how far some work is; a long video has a bar of its own, until it is done."""
    tell(title, done, total)
    if done == total:
        tell.finish(title)


def _check(
    template: str | None,
    threshold: float | None,
    window: float | None,
    stride: float | None,
    json_file: Path | None,
    csv_file: Path | None,
    sheet: Path | None,
) -> None:
    """Refuse options that are wrong, before a model is loaded."""
    if template is not None and template not in TEMPLATES:
        resolve_templates(template)
    require_cosine(threshold, '--threshold')
    require_seconds(window, '--window')
    require_seconds(stride, '--stride')
    for form, file in (('json', json_file), ('csv', csv_file)):
        if file is not None:
            require_form(file, f'--{form}', f'.{form}')
    if sheet is not None:
        require_png(sheet, '--sheet')


def _check_places(index: Path | None, paths: list[Path] | None, sheet: Path | None) -> None:
    """Refuse an index that cannot be, and a contact sheet that would itself be found next time."""
    if index is not None and paths:
        require_writable_folder(index, '--index')
    inside = [path for path in paths or () if path.is_dir() and sheet and path.resolve() in sheet.resolve().parents]
    if inside:
        raise UserError(
            f'--sheet {shown(sheet)} lies in {shown(inside[0])}, which is searched: the next search would find it. '
            'Give a place outside.'
        )


def _tell_update(console: Console, finder: Any) -> None:
    """Say what became of the index, and name what could not be read."""
    update = finder.last_update
    done = [f'{number:,} {word}' for word, number in update.counts.items() if number]
    files = sum(file.moments > 0 for file in finder.files)
    how = f' ({", ".join(done)})' if done else ''
    line = f'{len(finder):,} moments of {files:,} files{how}; the index is {shown(finder.index)}'
    console.print(Text(line), soft_wrap=True)
    for note in update.notes:
        console.print(Text(shown(note, None)), soft_wrap=True)
    skipped = {file.name: file.reason for file in finder.files if file.reason} | update.unread
    if skipped:
        named = first_few((f'{name} ({reason})' for name, reason in skipped.items()), _NAMED, '; ')
        one = 'file is' if len(skipped) == 1 else 'files are'
        console.print(Text(f'{len(skipped):,} {one} left out: {named}', style='yellow'), soft_wrap=True)


def _write(found: Any, json_file: Path | None, csv_file: Path | None, sheet: Path | None) -> None:
    """Write what was asked for; a file appears whole or not at all."""
    from textxfer_mm.apis.search import as_csv, as_dict, save_contact_sheet

    if json_file is not None:
        write_text(json_file, json.dumps(as_dict(found), ensure_ascii=False, allow_nan=False) + '\n')
    if csv_file is not None:
        write_text(csv_file, as_csv(found))
    if sheet is not None:
        save_contact_sheet(found, sheet)


def _show(console: Console, found: Any) -> None:
    """Print what was found, and how it stands among all scores."""
    table = Table()
    for column, justify in (
        ('rank', 'right'),
        ('score', 'right'),
        ('file', 'left'),
        ('from', 'right'),
        ('to', 'right'),
    ):
        table.add_column(column, justify=justify, overflow='fold')
    for rank, hit in enumerate(found.hits, 1):
        times = ('', '') if is_image(hit.path) else (clock(hit.start), clock(hit.end))
        name = f'{hit.name} ({hit.remark} it was indexed)' if hit.remark else hit.name
        table.add_row(str(rank), f'{hit.score:.3f}', Text(shown(name)), *times, style='dim' if hit.remark else '')
    console.print(table)
    median, high, best = found.quantiles.values()
    console.print(
        Text(
            f'All {found.moments:,} scores: half are below {median:.3f}, 99 % below {high:.3f}, the best is {best:.3f}.'
        ),
        soft_wrap=True,
    )
    for note in found.notes:
        console.print(Text(shown(note, None)), soft_wrap=True)
