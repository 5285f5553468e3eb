"""Files of captions: tables with a header, and JSON lines; each row has the path of a file and what is said of it."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from textxfer_mm.errors import UserError, first_few, first_line, nearest, shown
from textxfer_mm.text_files import distinct_keys, read_text, split_lines

#: What the columns are called where nobody says so; those of open_clip's tables (``filepath``, ``title``) among them.
PATH_KEYS = ('path', 'filepath', 'file', 'filename', 'image', 'img_path', 'image_path', 'video', 'video_path')
CAPTION_KEYS = ('caption', 'title', 'text')
_TABLES, _LINES = ('.csv', '.tsv'), ('.jsonl', '.ndjson')
_DELIMITERS = {',': 'comma', '\t': 'tab', ';': 'semicolon', '|': 'bar'}


def read_captions(
    file: str | Path, *, path_key: str | None = None, caption_key: str | None = None
) -> list[tuple[str, str]]:
    """Read the paths and captions of a file, one pair a caption, in their order.

    Args:
        file: A ``.csv`` or ``.tsv`` file with a header (divided by commas, tabs, semicolons or bars), or a ``.jsonl``
            or ``.ndjson`` file with an object a line, whose caption is a text or a list of several.
        path_key: The column of the paths; by default the first of :data:`PATH_KEYS` that is there.
        caption_key: That of the captions, by default of :data:`CAPTION_KEYS`.

    Raises:
        UserError: There is no such file, it lacks a column, or a row lacks a path or a caption.
    """
    file = Path(file)
    suffix = file.suffix.lower()
    if suffix not in _TABLES + _LINES:
        raise UserError(
            f'{shown(file)} is no file of captions: these end in .csv, .tsv, .jsonl or .ndjson. What MMAction2 takes, '
            'a .json file of {video: [captions]}, is read by its VideoTextDataset.'
        )
    text = read_text(file)
    wanted = ((path_key, PATH_KEYS, 'path'), (caption_key, CAPTION_KEYS, 'caption'))
    rows = _table_rows(text, file, wanted) if suffix in _TABLES else _line_rows(text, file, wanted)
    pairs = [pair for place, path, captions in rows for pair in _pairs(f'{shown(file)}, line {place}', path, captions)]
    if not pairs:
        raise UserError(f'{shown(file)} holds no captions.')
    return pairs


def _pairs(place: str, path: Any, captions: Any) -> Iterator[tuple[str, str]]:
    """The pairs of a row.

    Raises:
        UserError: The path or a caption is none.
    """
    if not isinstance(path, str) or not path.strip():
        raise UserError(f'{place}: the path of a file is missing, got {shown(repr(path), 80)}.')
    captions = captions if isinstance(captions, list) else [captions]
    if not captions or not all(isinstance(caption, str) and caption.strip() for caption in captions):
        raise UserError(
            f'{place}: {shown(path)} has no caption, a text that is not empty; got {shown(repr(captions), 80)}. Write '
            'one, or leave the row out.'
        )
    yield from ((path.strip(), caption.strip()) for caption in captions)


def _key(given: str | None, usual: Sequence[str], what: str, there: Sequence[str], place: str) -> str:
    """Which column has the paths, or the captions.

    Raises:
        UserError: There is none.
    """
    found = given if given in there else next((key for key in usual if given is None and key in there), None)
    if found is None:
        hint = nearest(given, there) if given is not None else f' Name it by {what}_key, or in the file.'
        looked = given if given is not None else ', '.join(usual)
        columns = first_few(there, 10) or 'none'
        raise UserError(f'{place} has no column of {what}s ({looked}); there is {columns}.{hint}')
    return found


def _table_rows(text: str, file: Path, wanted: Sequence[tuple]) -> Iterator[tuple[int, Any, Any]]:
    """Line number, path and caption of each row of a table."""
    first = next(iter(split_lines(text[:65536])), '')
    delimiters = ('\t',) if file.suffix.lower() == '.tsv' else _DELIMITERS
    delimiter = max(delimiters, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=''), delimiter=delimiter, strict=True)
    line = 1
    try:
        header = [cell.strip() for cell in next(reader, [])]
        places = [_place(header, _key(given, *names, header, shown(file)), file) for given, *names in wanted]
        line = reader.line_num + 1
        for row in reader:
            if any(cell.strip() for cell in row):
                if len(row) > len(header):
                    raise UserError(
                        f'{shown(file)}, line {line}: {len(row)} columns, where the header has {len(header)}. '
                        f'What holds a {_DELIMITERS[delimiter]} is put into double quotes.'
                    )
                yield (reader.line_num, *(row[place] if place < len(row) else '' for place in places))
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(
            f'{shown(file)}: what begins in line {line} is no row of a table: {first_line(error)}. What is put into '
            'double quotes has two of them for each of its own.'
        ) from error


def _place(header: Sequence[str], key: str, file: Path) -> int:
    """The place of a column.

    Raises:
        UserError: There are several of its name.
    """
    if header.count(key) > 1:
        raise UserError(
            f'{shown(file)} has {header.count(key)} columns of the name {shown(key)!r}: rename all but one.'
        )
    return header.index(key)


def _line_rows(text: str, file: Path, wanted: Sequence[tuple]) -> Iterator[tuple[int, Any, Any]]:
    """Line number, path and captions of each object."""
    for number, line in enumerate(split_lines(text), 1):
        if not line.strip():
            continue
        place = f'{shown(file)}, line {number}'
        try:
            entry = json.loads(line, object_pairs_hook=distinct_keys)
        except (ValueError, RecursionError) as error:
            raise UserError(f'{place} is no JSON: {first_line(error)}. Give one object a line.') from error
        if not isinstance(entry, Mapping):
            raise UserError(f'{place} is no object with a path and a caption, but {shown(repr(entry), 80)}.')
        yield (number, *(entry[_key(given, *names, list(entry), place)] for given, *names in wanted))
