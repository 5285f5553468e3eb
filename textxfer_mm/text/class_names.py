"""Lists of class names: from Python, from a file, or by the name of a dataset.

The order is the order of the labels. Names are kept as written, since a faithful zero-shot run must not touch them
(UCF101's are in camel case in the papers, too); only white space around a name in a file is dropped.
"""

import csv
import importlib.util
import json
import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from textxfer_mm.errors import NotAtHandError, UserError, first_few, nearest

logger = logging.getLogger(__name__)

_LABEL_MAPS = Path(__file__).parent / 'label_maps'
_FILE_SUFFIXES = ('.txt', '.csv', '.json', '.list', '.lst')
_NAME_COLUMNS = ('name', 'class_name', 'classname', 'label_name', 'class', 'action', 'category', 'label')
_ID_COLUMNS = ('id', 'index', 'class_id', 'label_id', 'label')


def load_class_names(source: str | Path | Sequence[str]) -> tuple[str, ...]:
    """Return the class names that ``source`` stands for, in the order of their labels.

    Args:
        source: One of

            - a sequence of names;
            - a ``.json`` file: a list, ``{index: name}`` or ``{name: index}``;
            - a ``.csv`` file: a column of names, or indices and names; the header (``id,name``, ...) is optional;
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

    Names that differ only in case, white space or underscores count as duplicates: tokenizers turn them into (nearly)
    the same prompt, so that the two classes could not be told apart.

    Raises:
        UserError: No names at all, an empty name, something that is not a string, or duplicates, which are named.
    """
    if not names:
        raise UserError('The list of class names is empty.')
    seen: dict[str, int] = {}
    duplicates = []
    for index, name in enumerate(names):
        if not isinstance(name, str):
            raise UserError(f'Class names are strings; class {index} is {name!r} ({type(name).__name__}).')
        folded = ' '.join(name.replace('_', ' ').casefold().split())
        if not folded:
            raise UserError(f'The name of class {index} is empty.')
        if folded in seen:
            duplicates.append(f'{names[seen[folded]]!r} (class {seen[folded]}) and {name!r} (class {index})')
        seen.setdefault(folded, index)
    if duplicates:
        raise UserError(f'Duplicate class names: {first_few(duplicates, 5, "; ")}. Rename or merge them.')


def list_datasets() -> tuple[str, ...]:
    """Return the names of the datasets whose class names are known on this machine.

    These are the lists that come with this package, ``imagenet1k``, and those of MMAction2 where it runs from a source
    checkout (its released package leaves the label maps out).
    """
    return tuple(sorted({'imagenet1k', *(path.stem for path in _LABEL_MAPS.glob('*.txt')), *_checkout_label_maps()}))


def _looks_like_file(source: str) -> bool:
    return source.lower().endswith(_FILE_SUFFIXES) or '/' in source or '\\' in source


def _read_dataset(name: str) -> tuple[str, ...]:
    if name == 'imagenet1k':
        from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES

        return tuple(IMAGENET_CLASSNAMES)
    path = _LABEL_MAPS / f'{name}.txt'
    if not path.is_file():
        path = _checkout_label_maps().get(name)
    if path is None:
        raise UserError(
            f'Unknown dataset {name!r} (a file of class names ends in .txt, .csv or .json).'
            f'{nearest(name, list_datasets())}'
        )
    return _read_file(path)


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
    if not path.is_file():
        raise NotAtHandError(f'File of class names not found: {path}.')
    try:
        text = path.read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise UserError(f'{path} is not a text file in UTF-8 (byte {error.start}).') from error
    if path.suffix.lower() == '.json':
        return _parse_json(text, path)
    if path.suffix.lower() == '.csv':
        return _parse_csv(text, path)
    return _parse_lines(text, path)


def _parse_lines(text: str, path: Path) -> tuple[str, ...]:
    names = [line.strip() for line in text.rstrip().splitlines()]
    for number, name in enumerate(names, 1):
        if not name:
            raise UserError(f'{path}: line {number} is empty, but each line names the class of that index.')
    numbers = [re.match(r'\d+(?=\s)', name) for name in names]
    if len(names) > 2 and all(numbers) and _is_index_range([int(match.group()) for match in numbers]):
        logger.warning(
            '%s: every line starts with a running number, which becomes part of the name (%r). If it is an index, '
            'save the list as a csv file of index,name.',
            *(path, names[0]),
        )
    return tuple(names)


def _parse_csv(text: str, path: Path) -> tuple[str, ...]:
    rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines(), skipinitialspace=True)]
    rows = [(number, row) for number, row in enumerate(rows, 1) if any(row)]
    if not rows:
        return ()
    header = [cell.lower() for cell in rows[0][1]]
    name_column = next((header.index(title) for title in _NAME_COLUMNS if title in header), None)
    if name_column is not None:
        index_column = next(
            (header.index(title) for title in _ID_COLUMNS if title in header and header.index(title) != name_column),
            None,
        )
        rows = rows[1:]
    elif all(row[0].isdecimal() and len(row) > 1 for _, row in rows):
        index_column, name_column = 0, 1
    elif all(len(row) == 1 for _, row in rows):
        index_column, name_column = None, 0
    else:
        raise UserError(
            f'{path}: give a header with a column `name` (and `id`), rows of index,name, or one name a row.'
        )
    for number, row in rows:
        if len(row) <= max(name_column, index_column or 0) or not row[name_column]:
            raise UserError(f'{path}: row {number} ({",".join(row)}) names no class.')
    names = [row[name_column] for _, row in rows]
    if index_column is None:
        return tuple(names)
    return _in_order(zip([row[index_column] for _, row in rows], names, strict=True), path)


def _parse_json(text: str, path: Path) -> tuple[str, ...]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f'{path} is not valid JSON ({error}).') from error
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
        raise UserError(f'{path}: an index of a class is not a whole number ({error}).') from error
    indices = [index for index, _ in ordered]
    if not _is_index_range(indices):
        repeated = sorted({index for index in indices if indices.count(index) > 1})
        absent = sorted(set(range(len(indices))) - set(indices))
        raise UserError(
            f'{path}: the indices of {len(indices)} classes must be 0..{len(indices) - 1} or 1..{len(indices)}; '
            f'repeated: {repeated[:5] or "none"}, missing: {absent[:5]}.'
        )
    return tuple(name for _, name in ordered)


def _is_index_range(indices: Sequence[int]) -> bool:
    return list(indices) in (list(range(len(indices))), list(range(1, len(indices) + 1)))
