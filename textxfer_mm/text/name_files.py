"""Files of class names: lines, tables and JSON."""

import csv
import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from textxfer_mm.errors import NotAtHandError, UserError, first_line, shown
from textxfer_mm.text_files import read_text, split_lines

logger = logging.getLogger(__name__)

_DELIMITERS = (',', ';', '\t', '|')
_NAME_COLUMNS = ('name', 'class_name', 'classname', 'label_name', 'class', 'action', 'category', 'label')
_ID_COLUMNS = ('id', 'index', 'class_id', 'label_id', 'label')


def read_names(path: Path) -> tuple[str, ...]:
    """Return the names in a file, in the order of their labels; its suffix says what it is.

    Raises:
        UserError: There is no such file (``NotAtHandError``), it cannot be parsed, or indices are not 0..K-1 (or 1..K).
    """
    try:
        is_there = path.is_file()
    except (OSError, ValueError):  # no file can have such a name
        is_there = False
    if not is_there:
        raise NotAtHandError(
            f'File of class names not found: {shown(path)}. Give a .txt, .csv, .tsv or .json file of names.'
        )
    text = read_text(path)
    suffix = path.suffix.lower()
    if suffix == '.json':
        return _parse_json(text, path)
    if suffix in ('.csv', '.tsv'):
        return _parse_table(text, path)
    return _parse_lines(text, path)


def _parse_lines(text: str, path: Path) -> tuple[str, ...]:
    names = [line.strip() for line in split_lines(text)]
    for number, name in enumerate(names, 1):
        if not name:
            raise UserError(f'{path}: line {number} is empty, but each line names the class of that index.')
    numbers = [re.match(r'\d+(?=[\s,;|])', name) for name in names]
    if len(names) > 2 and all(numbers) and _is_index_range([int(match.group()) for match in numbers]):
        logger.warning(
            '%s: every line starts with a running number, which becomes part of the name (%r). If it is an index, '
            'save the list as a csv file of index,name.',
            *(path, shown(names[0])),
        )
    return tuple(names)


def _parse_table(text: str, path: Path) -> tuple[str, ...]:
    """Read a table of names; of the delimiters that make one of the text exactly one must do so in a known way."""
    lines = split_lines(text)
    told = re.fullmatch(r'sep=(.)', lines[0].strip()) if lines else None  # a first line of Excel's
    delimiters = (told[1],) if told else ('\t',) if path.suffix.lower() == '.tsv' else _DELIMITERS
    tables = [_table(lines[1:] if told else lines, delimiter, path) for delimiter in delimiters]
    if not any(tables):
        return ()
    found = [(rows, columns) for rows in tables if (columns := _columns(rows)) is not None]
    tabular = [(rows, columns) for rows, columns in found if max(len(row) for _, row in rows) > 1]
    if len(tabular) > 1 or not found or (not tabular and _hides_a_table(tables)):
        raise UserError(
            f'{path}: give a header with a column `name` (and `id`), rows of index,name, or one name a row. Columns '
            'are divided by commas, semicolons, tabs or bars (|); a name that holds one is put into double quotes.'
        )
    rows, (has_header, index_column, name_column) = (tabular or found)[0]
    rows = rows[has_header:]
    for number, row in rows:
        if len(row) <= max(name_column, index_column or 0) or not row[name_column]:
            raise UserError(f'{path}: row {number} ({shown(",".join(row))}) names no class.')
        if '\n' in row[name_column]:
            raise UserError(f'{path}: row {number} has a double quote that is not closed ({shown(row[name_column])}).')
    names = [row[name_column] for _, row in rows]
    if index_column is None:
        return tuple(names)
    return _in_order(zip([row[index_column] for _, row in rows], names, strict=True), path)


def _table(lines: list[str], delimiter: str, path: Path) -> list[tuple[int, list[str]]]:
    """Split lines into cells; rows without content are left out, the others keep their number."""
    rows = csv.reader((f'{line}\n' for line in lines), delimiter=delimiter, skipinitialspace=delimiter != '\t')
    try:
        cells = [(number, [cell.strip() for cell in row]) for number, row in enumerate(rows, 1)]
    except csv.Error as error:
        raise UserError(f'{path} is no table of names: {first_line(error)}.') from error
    return [(number, row) for number, row in cells if any(row)]


def _columns(rows: list[tuple[int, list[str]]]) -> tuple[bool, int | None, int] | None:
    """Whether a table has a header, and the columns of indices (if any) and names; None where it is none of ours."""
    header = [cell.lower() for cell in rows[0][1]]
    name_column = next((header.index(title) for title in _NAME_COLUMNS if title in header), None)
    if name_column is not None:
        if any(any(row[len(header) :]) for _, row in rows):  # what divides a name is no delimiter
            return None
        index_column = next(
            (header.index(title) for title in _ID_COLUMNS if title in header and header.index(title) != name_column),
            None,
        )
        return True, index_column, name_column
    if all(row[0].isdecimal() and len(row) > 1 for _, row in rows):
        return False, 0, 1
    return (False, None, 0) if all(len(row) == 1 for _, row in rows) else None


def _hides_a_table(tables: list[list[tuple[int, list[str]]]]) -> bool:
    """Whether what looks like one column is more: a comma divides a row, or another delimiter every one."""
    widths = [[len(row) for _, row in rows] for rows in tables]
    return max(widths[0]) > 1 or any(min(others) > 1 for others in widths[1:])


def _parse_json(text: str, path: Path) -> tuple[str, ...]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f'{path} is not valid JSON ({first_line(error)}).') from error
    if isinstance(content, list):
        return tuple(name.strip() if isinstance(name, str) else name for name in content)
    if isinstance(content, dict) and content:
        if all(key.isdecimal() and isinstance(value, str) for key, value in content.items()):
            return _in_order(content.items(), path)
        if all(isinstance(value, int) or (isinstance(value, str) and value.isdecimal()) for value in content.values()):
            return _in_order(((value, name) for name, value in content.items()), path)
    raise UserError(f'{path}: expected a list of names, {{index: name}} or {{name: index}}.')


def _in_order(pairs: Iterable[tuple[str | int, str]], path: Path) -> tuple[str, ...]:
    """Sort (index, name) pairs by index; the indices must be 0..K-1 or 1..K."""
    pairs = list(pairs)
    try:
        ordered = sorted((int(index), name.strip()) for index, name in pairs)
    except ValueError as error:
        raise UserError(f'{path}: an index of a class is not a whole number ({first_line(error)}).') from error
    indices = [index for index, _ in ordered]
    if not _is_index_range(indices):
        repeated = sorted(index for index, times in Counter(indices).items() if times > 1)
        absent = sorted(set(range(len(indices))) - set(indices))
        raise UserError(
            f'{path}: the indices of {len(indices)} classes must be 0..{len(indices) - 1} or 1..{len(indices)}; '
            f'repeated: {repeated[:5] or "none"}, missing: {absent[:5]}.'
        )
    return tuple(name for _, name in ordered)


def _is_index_range(indices: Sequence[int]) -> bool:
    return list(indices) in (list(range(len(indices))), list(range(1, len(indices) + 1)))
