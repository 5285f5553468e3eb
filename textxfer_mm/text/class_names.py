"""Lists of class names: from Python, from a file, or by the name of a dataset.

The order is the order of the labels. Names are kept as written, since a faithful zero-shot run must not touch them
(UCF101's are in camel case in the papers, too); only white space around a name in a file is dropped.
"""

import csv
import importlib.util
import json
import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from textxfer_mm.errors import NotAtHandError, UserError, first_few, first_line, nearest, shown
from textxfer_mm.text_files import read_text, split_lines

logger = logging.getLogger(__name__)

_LABEL_MAPS = Path(__file__).parent / 'label_maps'
_FILE_SUFFIXES = ('.txt', '.csv', '.tsv', '.json', '.list', '.lst')
_DELIMITERS = (',', ';', '\t')
#: Marks that change nothing at the ends of a name.
_MARKS = '.,:;!?"\'`\u2018\u2019\u201c\u201d\u2026\u3002\uff0c\uff01\uff1f '
#: No name is longer; the text encoders say themselves what they can read.
_MAX_LENGTH = 10_000
_NAME_COLUMNS = ('name', 'class_name', 'classname', 'label_name', 'class', 'action', 'category', 'label')
_ID_COLUMNS = ('id', 'index', 'class_id', 'label_id', 'label')


def load_class_names(source: str | Path | Sequence[str]) -> tuple[str, ...]:
    """Return the class names that ``source`` stands for, in the order of their labels.

    Args:
        source: One of

            - a sequence of names;
            - a ``.json`` file: a list, ``{index: name}`` or ``{name: index}``;
            - a ``.csv`` or ``.tsv`` file: a column of names, or indices and names, with commas, semicolons or tabs
              between them; the header (``id,name``, ...) is optional;
            - any other file: one name a line;
            - the name of a dataset, see :func:`list_datasets`.

    Raises:
        UserError: The dataset or file is unknown, the file cannot be parsed, indices are not 0..K-1 (or 1..K), or
            :func:`check_class_names` objects. Lists known by the name of a dataset are taken as they are: two of the
            1000 names of ImageNet occur twice.
    """
    if isinstance(source, Sequence) and not isinstance(source, str | bytes):
        names = tuple(source)
    elif not isinstance(source, str | Path):
        raise UserError(f'Class names are a list, a file or the name of a dataset, not a {type(source).__name__}.')
    elif isinstance(source, Path) or _looks_like_file(source):
        names = _read_file(Path(source).expanduser())
    else:
        return _read_dataset(source)
    try:
        check_class_names(names)
    except UserError as error:
        raise UserError(f'{source}: {error}' if isinstance(source, str | Path) else str(error)) from None
    return names


def check_class_names(names: Sequence[str]) -> None:
    """Check that there is one usable, distinct name per class.

    Names that differ only in case, white space, underscores, hyphens between words or marks at their ends count as
    duplicates: they make (nearly) the same prompt, so that the two classes could not be told apart.

    Raises:
        UserError: No names at all, an empty name or one of a whole text's length, something that is not a string, or
            duplicates, which are named.
    """
    if not names:
        raise UserError('The list of class names is empty.')
    seen: dict[str, int] = {}
    duplicates = []
    for index, name in enumerate(names):
        if not isinstance(name, str):
            raise UserError(f'Class names are strings; class {index} is {shown(repr(name))} ({type(name).__name__}).')
        if len(name) > _MAX_LENGTH:
            raise UserError(
                f'The name of class {index} is as long as a text: {shown(name, 40)}. Is it one name a line?'
            )
        if not name.strip():
            raise UserError(f'The name of class {index} is empty.')
        folded = _folded(name)
        if folded in seen:
            first = names[seen[folded]]
            duplicates.append(f"'{shown(first)}' (class {seen[folded]}) and '{shown(name)}' (class {index})")
        seen.setdefault(folded, index)
    if duplicates:
        raise UserError(f'Duplicate class names: {first_few(duplicates, 5, "; ")}. Rename or merge them.')


def _folded(name: str) -> str:
    """What is left of a name where case, white space, underscores, hyphens and marks at the ends do not count."""
    plain = re.sub(r'_|(?<=\w)-(?=\w)', ' ', unicodedata.normalize('NFC', name).casefold())
    return ' '.join(plain.split()).strip(_MARKS) or name


def list_datasets() -> tuple[str, ...]:
    """Return the names of the datasets whose class names are known on this machine.

    These are the lists that come with this package, ``imagenet1k``, and those of MMAction2 where it runs from a source
    checkout (its released package leaves the label maps out).
    """
    return tuple(sorted({'imagenet1k', *_own_label_maps(), *_checkout_label_maps()}))


def is_known_list(names: Sequence[str]) -> bool:
    """Whether these are the class names of a dataset in :func:`list_datasets`, in their order."""
    lists = (_read_dataset(name) for name in (*_own_label_maps(), *_checkout_label_maps()))
    if tuple(names) in lists:
        return True
    return len(names) == 1000 and tuple(names) == _read_dataset('imagenet1k')  # imports open_clip


def _looks_like_file(source: str) -> bool:
    return source.lower().endswith(_FILE_SUFFIXES) or '/' in source or '\\' in source


def _read_dataset(name: str) -> tuple[str, ...]:
    if name == 'imagenet1k':
        from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES

        return tuple(IMAGENET_CLASSNAMES)
    path = _own_label_maps().get(name) or _checkout_label_maps().get(name)
    if path is None:
        raise UserError(
            f"Unknown dataset '{shown(name)}' (a file of class names ends in .txt, .csv or .json)."
            f'{nearest(name, list_datasets())}'
        )
    return _read_file(path)


def _own_label_maps() -> dict[str, Path]:
    return {path.stem: path for path in _LABEL_MAPS.glob('*.txt')}


def _checkout_label_maps() -> dict[str, Path]:
    """Find ``tools/data/<dataset>/label_map*.txt`` beside an MMAction2 that runs from its source."""
    spec = importlib.util.find_spec('mmaction')
    if spec is None or spec.origin is None:
        return {}
    package = Path(spec.origin).parent
    found = {}
    for root in (package / '.mim' / 'tools' / 'data', package.parent / 'tools' / 'data'):
        for path in sorted(root.glob('*/label_map*.txt')):
            name = path.stem.removeprefix('label_map').lstrip('_') or path.parent.name
            found.setdefault(re.sub(r'^k(?=\d+$)', 'kinetics', name), path)
    return found


def _read_file(path: Path) -> tuple[str, ...]:
    try:
        is_there = path.is_file()
    except (OSError, ValueError):  # no file can have such a name
        is_there = False
    if not is_there:
        raise NotAtHandError(f'File of class names not found: {shown(path)}.')
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
    numbers = [re.match(r'\d+(?=\s)', name) for name in names]
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
            'are divided by commas, semicolons or tabs; a name that holds one is put into double quotes.'
        )
    rows, (has_header, index_column, name_column) = (tabular or found)[0]
    rows = rows[has_header:]
    for number, row in rows:
        if len(row) <= max(name_column, index_column or 0) or not row[name_column]:
            raise UserError(f'{path}: row {number} ({shown(",".join(row))}) names no class.')
    names = [row[name_column] for _, row in rows]
    if index_column is None:
        return tuple(names)
    return _in_order(zip([row[index_column] for _, row in rows], names, strict=True), path)


def _table(lines: list[str], delimiter: str, path: Path) -> list[tuple[int, list[str]]]:
    """Split lines into cells; rows without content are left out, the others keep their number."""
    rows = csv.reader(lines, delimiter=delimiter, skipinitialspace=delimiter != '\t')
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
