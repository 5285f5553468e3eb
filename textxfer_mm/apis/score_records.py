"""Results as lines of JSON and as rows of a table, written and read again. Light: no torch here."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from textxfer_mm.apis.predictions import Result, VideoFailure, VideoPrediction
from textxfer_mm.errors import UserError, shown

#: The suffixes of files of scores: an array of JSON, lines of JSON, and a table.
ARRAY_SUFFIX, LINES_SUFFIX, TABLE_SUFFIX = '.json', '.jsonl', '.csv'
COLUMNS = ['video', 'rank', 'label', 'score', 'error']
#: Bytes of a file name that are no UTF-8 are written as JSON has them.
UTF8 = dict(encoding='utf-8', errors='backslashreplace')


def key_of(name: str) -> str:
    """The name of a file as it is written and read again."""
    return name.encode(**UTF8).decode('utf-8')


def line_of(result: Result) -> bytes:
    """A result as a line of JSON."""
    if isinstance(result, VideoFailure):
        row: dict[str, Any] = dict(video=result.video, error=result.reason)
    else:
        row = dict(video=result.video, scores=dict(result.top(len(result.scores))))
    return (json.dumps(row, ensure_ascii=False, allow_nan=False) + '\n').encode(**UTF8)


def rows_of_table(result: Result) -> bytes:
    """A result as rows of a table: one a label, best first, or one with the error."""
    text = io.StringIO()
    writer = csv.writer(text)
    if isinstance(result, VideoFailure):
        writer.writerow([result.video, '', '', '', result.reason])
    else:
        best = enumerate(result.top(len(result.scores)), 1)
        writer.writerows([result.video, rank, name, f'{score:.6f}', ''] for rank, (name, score) in best)
    return text.getvalue().encode(**UTF8)


def read_lines(path: Path) -> Iterator[tuple[Result, int]]:
    """The results of a file of JSON lines, each with the number of the byte behind it; a line cut off is left out.

    Raises:
        UserError: A line is no result.
    """
    end = 0
    with path.open('rb') as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b'\n'):
                return
            end += len(line)
            yield _result_of(line, f'{shown(path)}, line {number},'), end


def read_array(path: Path) -> list[Result]:
    """The results of a file that was written as one array.

    Raises:
        UserError: It is none.
    """
    where = shown(path)
    try:
        rows = json.loads(path.read_bytes())
    except ValueError as error:
        raise UserError(f'{where} is no JSON file: give one of `textxfer predict --json`, or a new name.') from error
    if not isinstance(rows, list):
        raise UserError(f'{where} is no list of results: give one of `textxfer predict --json`, or a new name.')
    return [_result_of(row, where) for row in rows]


def _result_of(line: str | bytes | dict[str, Any], where: str) -> Result:
    """The result that a line of JSON holds, or what was read of it."""
    try:
        row = json.loads(line) if isinstance(line, str | bytes) else line
        if 'error' in row:
            return VideoFailure(row['video'], row['error'])
        return VideoPrediction(row['video'], tuple(row['scores']), tuple(map(float, row['scores'].values())))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f'{where} is no result of textxfer predict: give another file, or delete it.') from error


def read_table(path: Path) -> Iterator[tuple[Result, int]]:
    """The results of a table like :func:`read_lines` does; one whose rows may be cut off is left out.

    Raises:
        UserError: It is no such table.
    """
    raw = _Lines(path)
    records = csv.reader(raw)
    header = next(records, COLUMNS)
    if header != COLUMNS and raw.is_whole:
        raise UserError(
            f'{shown(path)} is no table of scores with the columns {", ".join(COLUMNS)}: give another file.'
        )
    group: list[list[str]] = []
    number, end = 0, raw.end
    for record in records:
        if len(record) != len(COLUMNS) or not raw.is_whole:
            break
        if group and record[1] in ('', '1'):
            yield _result_of_group(group, path), end
            number, group = number or len(group), []
        group.append(record)
        end = raw.end
        if record[4] or len(group) == number:  # all have as many rows as the first
            yield _result_of_group(group, path), end
            group = []


def _result_of_group(group: Sequence[Sequence[str]], path: Path) -> Result:
    if group[0][4]:
        return VideoFailure(group[0][0], group[0][4])
    try:
        return VideoPrediction(group[0][0], tuple(row[2] for row in group), tuple(float(row[3]) for row in group))
    except ValueError as error:
        raise UserError(f'{shown(path)} holds a score that is no number: give another file, or delete it.') from error


class _Lines:
    """The lines of a file as text, counted in bytes."""

    def __init__(self, path: Path) -> None:
        self._file = path.open('rb')
        self.end, self.is_whole = 0, True

    def __iter__(self) -> Iterator[str]:
        with self._file:
            for line in self._file:
                self.end += len(line)
                self.is_whole = line.endswith(b'\n')
                yield line.decode('utf-8', 'replace')
