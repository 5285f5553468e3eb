"""Files of scores that grow as results come, and that a run which was ended goes on with. Light: no torch here."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from textxfer_mm.apis.predictions import Result, VideoFailure
from textxfer_mm.apis.score_records import (
    ARRAY_SUFFIX,
    COLUMNS,
    LINES_SUFFIX,
    TABLE_SUFFIX,
    UTF8,
    key_of,
    line_of,
    read_array,
    read_lines,
    read_table,
    rows_of_table,
)
from textxfer_mm.errors import UnwritableError, UserError, first_few, shown
from textxfer_mm.files import replacing, require_form, unwritable


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
        with replacing(self.target) as part, part.open('w', **UTF8) as file:
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
        json_file: One array, written at the end (``.json``), or lines, written as they come (``.jsonl``).
        csv_file: A table, written as results come (``.csv``).
        resume: Whether to go on with what they hold.

    Attributes:
        failed: How many of the files that were asked for have failed, those of earlier runs included.

    Raises:
        UserError: They cannot be written, have another suffix, or hold something else.
    """

    def __init__(self, json_file: Path | None, csv_file: Path | None, *, resume: bool) -> None:
        self._files: list[ScoreFile] = []
        self._resume = resume
        self.failed = 0
        if json_file is not None:
            file = require_form(json_file, '--json', ARRAY_SUFFIX, LINES_SUFFIX)
            if file.suffix.lower() == LINES_SUFFIX:
                self._files.append(ScoreFile(file))
            else:
                self._files.append(ScoreFile(file.with_name(f'{file.name}.part{LINES_SUFFIX}'), file))
        if csv_file is not None:
            self._files.append(ScoreFile(require_form(csv_file, '--csv', TABLE_SUFFIX), is_table=True))
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
