"""Files of glosses: CSV with one row for each sense, and JSON."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from textxfer_mm.errors import NotAtHandError, UserError, first_few, first_line, shown
from textxfer_mm.text.glosses.table import GlossEntry, GlossTable, as_glosses
from textxfer_mm.text_files import distinct_keys, read_text, split_lines

#: The columns of a file that this package writes; a file of the user needs the second and the last.
COLUMNS = ('label', 'name', 'sense', 'gloss')
_NEED = (
    'give a table with the columns `name` and `gloss` (and `label`, `sense` if you like; several rows of a class are '
    'several senses)'
)


def read_gloss_table(path: Path, source: str = '') -> GlossTable:
    """Read the table of a file.

    Args:
        path: A ``.csv`` or ``.tsv`` file with a header that names the columns ``name`` and ``gloss``; with a column
            ``label``, rows of the same label belong together, else rows of the same name. Or a ``.json`` file:
            ``{name: gloss or [glosses]}``, or a list of ``{"name": ..., "gloss": ...}``.
        source: What the table is called in messages; by default the path.

    Raises:
        UserError: There is no such file (``NotAtHandError``), or it is malformed.
    """
    entries = []
    for name, rows in _read_classes(path):
        pairs = {gloss: sense for sense, gloss in reversed(rows) if gloss}  # of equal glosses the first
        pairs = dict(reversed(pairs.items()))
        entries.append(GlossEntry(name, tuple(pairs), tuple(pairs.values())))
    return GlossTable(tuple(entries), source or str(path))


def read_overrides(path: Path) -> dict[str, tuple[str, ...]]:
    """Read what is to stand in the place of what is found, by class name.

    Args:
        path: A file as of :func:`read_gloss_table`; each row gives its ``sense`` where it has one, and else its
            ``gloss``.

    Returns:
        Ids of senses and glosses of each name; none for a class that is to keep its bare name.

    Raises:
        UserError: See :func:`read_gloss_table`.
    """
    return {
        name: tuple(dict.fromkeys(sense or gloss for sense, gloss in rows if sense or gloss))
        for name, rows in _read_classes(path)
    }


def _read_classes(path: Path) -> list[tuple[str, list[tuple[str, str]]]]:
    """The classes of a file: name, and its rows as sense and gloss."""
    try:
        is_there = path.is_file()
    except (OSError, ValueError):  # no file can have such a name
        is_there = False
    if not is_there:
        raise NotAtHandError(f'File of glosses not found: {shown(path)}.')
    text = read_text(path)
    suffix = path.suffix.lower()
    if suffix == '.json':
        rows = _json_rows(text, path)
    elif suffix in ('.csv', '.tsv'):
        rows = _table_rows(text, path)
    else:
        raise UserError(f'{shown(path)} is no file of glosses: these end in .csv, .tsv or .json.')
    classes = _classes(rows, path)
    if not classes:
        raise UserError(f'{shown(path)} holds no glosses: {_NEED}.')
    return classes


def gloss_csv(table: GlossTable) -> str:
    """The table as the text of a CSV file: one row for each sense, an empty gloss for a class without one."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator='\n')
    writer.writerow(COLUMNS)
    for label, entry in enumerate(table.entries):
        senses = entry.senses or ('',) * len(entry.glosses)
        pairs = list(zip(senses, entry.glosses, strict=True)) or [('', '')]
        writer.writerows([label, entry.name, sense, gloss] for sense, gloss in pairs)
    return buffer.getvalue()


def gloss_json(table: GlossTable) -> str:
    """The table as the text of a JSON file: a list of classes with their glosses and senses."""
    rows = [
        dict(name=entry.name, gloss=list(entry.glosses), sense=list(entry.senses or ('',) * len(entry.glosses)))
        for entry in table.entries
    ]
    return json.dumps(rows, indent=1, ensure_ascii=False) + '\n'


#: One row: label or None, name, sense, gloss.
_Row = tuple[int | None, str, str, str]


def _classes(rows: Iterable[_Row], path: Path) -> list[tuple[str, list[tuple[str, str]]]]:
    """Put the rows of a class together; its classes come in the order of their labels, or as they are met."""
    rows = list(rows)
    labelled = [label is not None for label, *_ in rows]
    if any(labelled) and not all(labelled):
        raise UserError(f'{shown(path)}: some rows have a label and others none. Give all of them one, or none.')
    classes: dict[int | str, tuple[str, list[tuple[str, str]]]] = {}
    for label, name, sense, gloss in rows:
        known, senses = classes.setdefault(name if label is None else label, (name, []))
        if known != name:
            raise UserError(f'{shown(path)}: label {label} is {shown(known)!r} in one row, {shown(name)!r} in another.')
        senses.append((sense, ' '.join(gloss.split())))
    if not any(labelled):
        return list(classes.values())
    labels = sorted(classes)
    if labels not in (list(range(len(labels))), list(range(1, len(labels) + 1))):
        raise UserError(
            f'{shown(path)}: the labels of {len(labels)} classes must be 0..{len(labels) - 1} or 1..{len(labels)}; '
            f'there are {first_few(labels, 8)}.'
        )
    return [classes[label] for label in labels]


def _table_rows(text: str, path: Path) -> Iterator[_Row]:
    delimiter = '\t' if path.suffix.lower() == '.tsv' else ','
    lines = split_lines(text)
    try:
        rows = list(csv.reader((f'{line}\n' for line in lines), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise UserError(f'{shown(path)} is no table of glosses ({first_line(error)}): {_NEED}.') from error
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    twice = [name for name in COLUMNS if header.count(name) > 1]
    if twice or not {'name', 'gloss'} <= set(header):
        several = f', `{twice[0]}` more than once' if twice else ''
        raise UserError(f'{shown(path)} has the columns {first_few(header, 6) or "none"}{several}: {_NEED}.')
    for number, row in enumerate(rows[1:], 2):
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if len(cells) != len(header):
            raise UserError(
                f'{shown(path)}: row {number} has {len(cells)} columns, the header {len(header)}. A gloss that holds a '
                'comma is put into double quotes.'
            )
        named = dict(zip(header, cells, strict=True))
        if not named['name']:
            raise UserError(f'{shown(path)}: row {number} ({shown(",".join(cells), 60)}) names no class.')
        yield _label(named.get('label', ''), path, number), named['name'], named.get('sense', ''), named['gloss']


def _is_text(given: object) -> bool:
    return isinstance(given, str) and bool(given.strip())


def _label(given: str, path: Path, number: int) -> int | None:
    if not given:
        return None
    if not given.isdecimal():
        raise UserError(f'{shown(path)}: row {number} has the label {shown(given)!r}, which is no whole number.')
    return int(given)


def _json_rows(text: str, path: Path) -> Iterator[_Row]:
    try:
        content = json.loads(text, object_pairs_hook=distinct_keys)
    except (ValueError, RecursionError) as error:
        raise UserError(f'{shown(path)} is not valid JSON ({first_line(error)}).') from error
    if isinstance(content, dict):
        content = [dict(name=name, gloss=given) for name, given in content.items()]
    expected = f'{shown(path)}: expected {{name: gloss or [glosses]}} or a list of {{"name": ..., "gloss": ...}}'
    if not isinstance(content, list):
        raise UserError(f'{expected}.')
    for label, row in enumerate(content):
        if not isinstance(row, dict) or not {'name', 'gloss'} <= row.keys() or not _is_text(row['name']):
            raise UserError(f'{expected}; entry {label} is {shown(json.dumps(row, ensure_ascii=False), 60)}.')
        glosses, senses = (row.get(key) for key in ('gloss', 'sense'))
        glosses = glosses if isinstance(glosses, list) else [glosses]
        senses = senses if isinstance(senses, list) else [senses]
        try:
            as_glosses(glosses, row['name']), as_glosses(senses, row['name'])  # texts, or an error
        except UserError as error:
            raise UserError(f'{shown(path)}: {error}') from None
        if senses != [None] and len(senses) != len(glosses):
            raise UserError(
                f'{shown(path)}: {shown(row["name"])!r} has {len(glosses)} glosses and {len(senses)} senses: give one '
                'for each, or leave them out.'
            )
        senses = senses if len(senses) == len(glosses) else [''] * len(glosses)
        for gloss, sense in zip(glosses or [''], senses or [''], strict=True):
            yield label, row['name'].strip(), sense or '', gloss or ''
