"""Files of scores that grow as results come, and that a run which was ended goes on with. Light: no torch here."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from textxfer_mm.apis.predictions import Result, VideoFailure, VideoPrediction
from textxfer_mm.errors import UnwritableError, UserError, first_few, shown
from textxfer_mm.files import replacing, require_writable_file, unwritable

#: The suffix of files of JSON lines.
LINES_SUFFIX = '.jsonl'
COLUMNS = ['video', 'rank', 'label', 'score', 'error']
#: Bytes of a file name that are no UTF-8 are written as JSON has them.
_UTF8 = dict(encoding='utf-8', errors='backslashreplace')


def key_of(name: str) -> str:
    """The name of a file as it is written and read again."""
    return name.encode(**_UTF8).decode('utf-8')


def line_of(result: Result) -> bytes:
    """A result as a line of JSON."""
    if isinstance(result, VideoFailure):
        row: dict[str, Any] = dict(video=result.video, error=result.reason)
    else:
        row = dict(video=result.video, scores=dict(result.top(len(result.scores))))
    return (json.dumps(row, ensure_ascii=False, allow_nan=False) + '\n').encode(**_UTF8)


def rows_of_table(result: Result) -> bytes:
    """A result as rows of a table: one a label, best first, or one with the error."""
    text = io.StringIO()
    writer = csv.writer(text)
    if isinstance(result, VideoFailure):
        writer.writerow([result.video, '', '', '', result.reason])
    else:
        best = enumerate(result.top(len(result.scores)), 1)
        writer.writerows([result.video, rank, name, f'{score:.6f}', ''] for rank, (name, score) in best)
    return text.getvalue().encode(**_UTF8)


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
        raise UserError(f'{where} is no JSON file: give another, or delete it.') from error
    if not isinstance(rows, list):
        raise UserError(f'{where} is no list of results: give another file, or delete it.')
    return [_result_of(row, where) for row in rows]


def _result_of(line: str | bytes | dict[str, Any], where: str) -> Result:
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


class ScoreFile:
    """A file that grows by each result.

    Args:
        path: Where it grows.
        target: The file that it becomes at the end; None for itself.
        is_table: Whether it is a table, not lines of JSON.

    Attributes:
        done: What it holds, and whether that failed.
        whole: Bytes of it that are whole.
        labels: The labels of what it holds.
    """

    def __init__(self, path: Path, target: Path | None = None, *, is_table: bool = False) -> None:
        self.path, self.target, self.is_table = path, target, is_table
        self.done: dict[str, bool] = {}
        self.labels: frozenset[str] = frozenset()
        self.whole = 0
        self._file: BinaryIO | None = None

    def results(self) -> Iterator[tuple[Result, int]]:
        """What the file holds."""
        return (read_table if self.is_table else read_lines)(self.path)

    def look(self) -> None:
        """See what there is.

        Raises:
            UserError: It is something else.
        """
        if self.target is not None and self.target.is_file() and not self.path.exists():
            self._take_back()
        if not self.path.is_file():
            return
        for result, end in self.results():
            self.whole = end
            failed = isinstance(result, VideoFailure)
            self.done[key_of(result.video)] = failed
            if not failed and not self.labels:
                self.labels = frozenset(result.class_names)

    def _take_back(self) -> None:
        """Make lines of the array that was written at the end of an earlier run."""
        with replacing(self.path) as part:
            part.write_bytes(b''.join(map(line_of, read_array(self.target))))

    def begin(self, anew: bool) -> None:
        """Open it behind what it holds whole, or anew."""
        if anew:
            self.done, self.whole = {}, 0
        self._file = self.path.open('r+b' if self.path.exists() else 'w+b')
        self._file.truncate(self.whole)
        self._file.seek(self.whole)
        if self.is_table and not self.whole:
            self._put((','.join(COLUMNS) + '\r\n').encode())

    def add(self, result: Result) -> None:
        """Write a result, unless it is there already."""
        if key_of(result.video) not in self.done:
            self._put((rows_of_table if self.is_table else line_of)(result))
            self.done[key_of(result.video)] = isinstance(result, VideoFailure)

    def _put(self, content: bytes) -> None:
        try:
            self._file.write(content)
            self._file.flush()
        except OSError as error:
            raise UnwritableError(
                f'{self.path} could not be written on: {unwritable(error) or error.strerror}. What it holds is kept; '
                '--resume goes on with it.'
            ) from error

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def finish(self) -> None:
        """Make of it what it is to become: one array, what failed at its end."""
        if self.target is None:
            return
        with replacing(self.target) as part, part.open('w', **_UTF8) as file:
            separator = '[\n'
            for failures in (False, True):
                for line in self.path.open('rb'):
                    row = json.loads(line)
                    if ('error' in row) == failures:
                        text = json.dumps(row, indent=2, ensure_ascii=False, allow_nan=False)
                        file.write(separator + '  ' + text.replace('\n', '\n  '))
                        separator = ',\n'
            file.write('[]' if separator == '[\n' else '\n]')
        self.path.unlink()


class ScoreFiles:
    """The files that a run writes its scores to.

    Args:
        json_file: One array, written at the end; or lines, written as they come, where it ends in ``.jsonl``.
        csv_file: A table, written as results come.
        resume: Whether to go on with what they hold.

    Attributes:
        failed: How many of the files that were asked for have failed, those of earlier runs included.

    Raises:
        UserError: They cannot be written, or hold something else.
    """

    def __init__(self, json_file: Path | None, csv_file: Path | None, *, resume: bool) -> None:
        self._files: list[ScoreFile] = []
        self._resume = resume
        self.failed = 0
        for option, file in (('--json', json_file), ('--csv', csv_file)):
            if file is None:
                continue
            file = require_writable_file(file, option)
            if option == '--json' and file.suffix.lower() != LINES_SUFFIX:
                self._files.append(ScoreFile(file.with_name(f'{file.name}.part{LINES_SUFFIX}'), file))
            else:
                self._files.append(ScoreFile(file, is_table=option == '--csv'))
        if resume and not self._files:
            raise UserError('--resume goes on with a file of scores: give --json or --csv, as before.')

    @property
    def targets(self) -> list[Path]:
        """The files that there are at the end."""
        return [file.target or file.path for file in self._files]

    @property
    def growing(self) -> list[Path]:
        """The files that grow."""
        return [file.path for file in self._files]

    def left_of(self, names: Sequence[str]) -> list[int]:
        """Which of the files that were asked for are still to be done; positions.

        Raises:
            UserError: A file holds something else, or some of these scores, and it was not said to go on.
        """
        keys = [key_of(name) for name in names]
        asked = set(keys)
        for file in self._files:
            if self._resume:
                file.look()
            elif file.path.is_file():
                self._refuse_unfinished(file, asked)
        if not self._resume:
            return list(range(len(names)))
        if self._files[0].done and len(self._files) > 1 and self._files[0].done.keys() - self._files[1].done.keys():
            self._catch_up()
        done = [file.done for file in self._files]
        self.failed = sum(held[name] for held in done[:1] for name in asked & held.keys())
        return [position for position, key in enumerate(keys) if not all(key in held for held in done)]

    def _refuse_unfinished(self, file: ScoreFile, asked: set[str]) -> None:
        try:
            file.look()
        except UserError:
            return  # something else, which is written over as ever
        held, file.done = file.done.keys(), {}
        if held and held <= asked and (file.target is not None or len(held) < len(asked)):
            raise UserError(
                f'{shown(file.path)} holds the scores of {len(held):,} of these {len(asked):,} files, of a run that '
                'did not end: go on with --resume, or delete it.'
            )

    def _catch_up(self) -> None:
        """Copy to the table what only the lines have: they are written first."""
        lines, table = self._files
        table.begin(anew=False)
        for result, _ in lines.results():
            table.add(result)
        table.close()
        table.whole = table.path.stat().st_size

    def begin(self, class_names: Sequence[str]) -> None:
        """Open the files.

        Raises:
            UserError: They hold scores of other labels.
        """
        for file in self._files:
            if self._resume and file.labels and class_names and file.labels != frozenset(class_names):
                raise UserError(
                    f'{shown(file.path)} holds scores of other labels ({first_few(sorted(file.labels))}) than '
                    f'{first_few(sorted(class_names))}: give the same, or another file.'
                )
        for file in self._files:
            file.begin(anew=not self._resume)

    def add(self, result: Result) -> None:
        """Write a result to all of them."""
        is_known = any(key_of(result.video) in file.done for file in self._files[:1])
        self.failed += isinstance(result, VideoFailure) and not is_known
        for file in self._files:
            file.add(result)

    def close(self) -> None:
        """Close them as they are."""
        for file in self._files:
            file.close()

    def finish(self) -> None:
        """Close them, as all is written."""
        self.close()
        for file in self._files:
            file.finish()
