"""Numbers of papers to print beside ours, each under the protocol it was measured with."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textxfer_mm.apis.evaluation.measures import BOTH
from textxfer_mm.apis.evaluation.report import measure_text
from textxfer_mm.apis.evaluation.states import TRAINED, UNTRAINED
from textxfer_mm.errors import UserError, nearest

_FILE = Path(__file__).with_name('published.json')
#: The tables, each with the protocols of its columns in their order. Numbers of two columns are never comparable.
TABLES = {
    'trained on all videos': {
        'top1': 'top-1',
        'top5': 'top-5',
        'mean_class_splits': 'mean class accuracy, 3 splits',
        'map': 'mAP',
    },
    'trained on K videos a class': {f'shots_{shots}': f'K = {shots}' for shots in (1, 2, 3, 4, 5, 8, 16)},
    'zero-shot': {
        'zero_shot_full': 'all classes',
        'zero_shot_half': 'half of the classes, 10 draws',
        'zero_shot_splits': 'all classes, 3 splits',
    },
    'base to novel': {'base': 'base', 'novel': 'novel', 'harmonic_mean': 'harmonic mean'},
}


@dataclass(frozen=True)
class ComparedTable:
    """Published rows and ours.

    Attributes:
        title: A key of :data:`TABLES`.
        columns: Titles of the columns: method, views, the protocols, source.
        rows: Cells.
    """

    title: str
    columns: list[str]
    rows: list[list[str]]


def comparison(dataset: str, result: Mapping[str, Any] | None = None) -> tuple[list[ComparedTable], list[str]]:
    """Published rows of a dataset, and ours below them.

    Args:
        dataset: A key of ``published.json``.
        result: What ``mean_over_results`` returned; its numbers go to the column of their own protocol, where their
            number of classes is the dataset's.

    Returns:
        A table for each kind of protocol, and notes.

    Raises:
        UserError: The dataset is unknown.
    """
    known = json.loads(_FILE.read_text(encoding='utf-8'))
    if dataset not in known['datasets']:
        raise UserError(f'No published numbers of {dataset!r} are kept here.{nearest(dataset, known["datasets"])}')
    found = known['datasets'][dataset]
    entries = [(f"{row['method']} (paper's)", row.get('views', ''), row, row['source']) for row in found['rows']]
    if result is not None:
        entries += list(_ours(result, found))
    tables = [_table(title, columns, entries) for title, columns in TABLES.items()]
    notes = [known['note']]
    if result is not None and len(entries) == len(found['rows']):
        notes.append(f'No result is of a protocol of {dataset} ({found["classes"]} classes): there is no row of ours.')
    return [table for table in tables if table.rows], notes


def _table(
    title: str, columns: Mapping[str, str], entries: Sequence[tuple[str, str, Mapping[str, Any], str]]
) -> ComparedTable:
    """The entries that have a number under one of the columns."""
    used = [key for key in columns if any(key in row for _, _, row, _ in entries)]
    rows = [
        [method, views, *(_cell(row.get(key)) for key in used), source]
        for method, views, row, source in entries
        if any(key in row for key in used)
    ]
    return ComparedTable(title, ['method', 'views', *(columns[key] for key in used), 'source'], rows)


def _cell(number: Any) -> str:
    """A number as the paper has it, or what was measured here."""
    if number is None:
        return ''
    return measure_text(number) if isinstance(number, dict) else str(number)


def _ours(result: Mapping[str, Any], dataset: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any], str]]:
    """Our numbers, under the protocols of the columns."""
    views = ' / '.join(dict.fromkeys(str(entry['views']) for entry in result['lists']))
    for state in (UNTRAINED, TRAINED):
        row = {}
        for part in result['results']:
            column = _column(part, state, result)
            if column is not None and part[state] is not None and _fits(part, column, dataset['classes']):
                row.setdefault(column, part[state])
        if row:
            yield f'ours, {state}', views, row, 'measured here'


def _fits(part: Mapping[str, Any], column: str, classes: int) -> bool:
    """Whether as many names competed as in the protocol."""
    wanted = {'zero_shot_half': classes // 2, 'base': classes - classes // 2, 'novel': classes // 2}
    return part['classes'] == wanted.get(column, classes)


def _column(part: Mapping[str, Any], state: str, result: Mapping[str, Any]) -> str | None:
    """The column a row of a result belongs to; None where there is none."""
    protocol, metric = part['protocol'], part['metric']
    if protocol == 'base-to-novel':
        return metric
    lists = {entry['title']: entry for entry in result['lists']}
    entry = lists.get(part['list'], next(iter(lists.values())))
    zero_shot = entry['zero_shot'] or state == UNTRAINED
    training = result.get('training') or {}
    if training and not zero_shot:  # not with all videos
        shots = f'shots_{training.get("shots")}'
        is_few_shot = (protocol, metric, *training) == ('full', 'top1', 'shots')
        return shots if is_few_shot and shots in TABLES['trained on K videos a class'] else None
    splits = protocol == 'splits' and len(part[state]['values']) == 3 if part[state] else False
    splits = splits or (protocol != 'splits' and result['over'] == 'splits' and result['number'] == 3)
    if protocol == 'half':
        return 'zero_shot_half' if zero_shot and metric == 'top1' and result['over'] == 'seeds' else None
    if metric == 'mean_class':
        return 'mean_class_splits' if splits and not zero_shot else None
    if part['list'] == BOTH or metric not in ('top1', 'top5', 'map'):
        return None
    if metric == 'top1' and zero_shot:
        if splits:
            return 'zero_shot_splits'
        return 'zero_shot_full' if protocol == 'full' and result['over'] == 'seeds' else None
    return metric if protocol in ('full', 'map') and not zero_shot else None
