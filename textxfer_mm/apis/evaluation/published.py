"""Numbers of papers to print beside ours, each under the protocol it was measured with."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from textxfer_mm.apis.evaluation.measures import BOTH
from textxfer_mm.apis.evaluation.report import measure_text
from textxfer_mm.apis.evaluation.states import TRAINED, UNTRAINED
from textxfer_mm.errors import UserError, nearest

_FILE = Path(__file__).with_name('published.json')
#: The protocols of the columns, in their order. Numbers of two of them are never comparable.
COLUMNS = {
    'top1': 'top-1',
    'top5': 'top-5',
    'mean_class_splits': 'mean class accuracy, 3 splits',
    'map': 'mAP',
    'zero_shot_full': 'zero-shot, all classes',
    'zero_shot_half': 'zero-shot, half of the classes, 10 draws',
    'zero_shot_splits': 'zero-shot, all classes, 3 splits',
    'base': 'base',
    'novel': 'novel',
    'harmonic_mean': 'harmonic mean',
}


def comparison(dataset: str, result: Mapping[str, Any] | None = None) -> tuple[list[str], list[list[str]], list[str]]:
    """Published rows of a dataset, and ours below them.

    Args:
        dataset: A key of ``published.json``.
        result: What ``mean_over_results`` returned; its numbers go to the column of their own protocol, where their
            number of classes is the dataset's.

    Returns:
        Titles of the columns, rows of cells, and notes.

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
    used = [key for key in COLUMNS if any(key in row for _, _, row, _ in entries)]
    rows = [[method, views, *(_cell(row.get(key)) for key in used), source] for method, views, row, source in entries]
    notes = [known['note']]
    if result is not None and not any(source == 'measured here' for *_, source in rows):
        notes.append(f'No result is of a protocol of {dataset} ({found["classes"]} classes): there is no row of ours.')
    return ['method', 'views', *(COLUMNS[key] for key in used), 'source'], rows, notes


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
    wanted = {'zero_shot_half': classes // 2, 'base': None, 'novel': None}.get(column, classes)
    return wanted is None or part['classes'] == wanted


def _column(part: Mapping[str, Any], state: str, result: Mapping[str, Any]) -> str | None:
    """The column a row of a result belongs to; None where there is none."""
    protocol, metric = part['protocol'], part['metric']
    if protocol == 'base-to-novel':
        return metric
    lists = {entry['title']: entry for entry in result['lists']}
    entry = lists.get(part['list'], next(iter(lists.values())))
    zero_shot = entry['zero_shot'] or state == UNTRAINED
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
