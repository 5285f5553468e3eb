"""Several results as one: mean and spread over seeds, or over the splits that models were trained and tested on."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from textxfer_mm.apis.evaluation.run import RESULT_FORMAT
from textxfer_mm.apis.evaluation.states import TRAINED, UNTRAINED
from textxfer_mm.errors import UserError, first_few, first_line
from textxfer_mm.inputs import require_file

#: What must be equal, by what it is called in the message.
_OF_RESULT = {
    'average_clips': 'averages of views',
    'templates': 'templates',
    'training': 'parts of the training videos',
}
_OF_LIST = {
    'class_digest': 'class lists',
    'views': 'numbers of views',
    'pipeline': 'test pipelines',
}


def read_results(paths: Sequence[str | Path]) -> list[dict[str, Any]]:
    """Read what ``textxfer evaluate --json`` wrote.

    Raises:
        UserError: A file is missing or is none of these.
    """
    results = []
    for path in paths:
        file = require_file(path, 'result', '*.json')
        try:
            content = json.loads(file.read_text(encoding='utf-8'))
        except (OSError, ValueError) as error:
            raise UserError(f'{path} is no result: not readable as JSON ({first_line(error)}).') from error
        if not isinstance(content, dict) or not {'format', 'results', 'lists', 'weights'} <= content.keys():
            raise UserError(f'{path} is no result of `textxfer evaluate --json`.')
        if content['format'] != RESULT_FORMAT:
            raise UserError(f'{path} is a result of format {content["format"]}, not {RESULT_FORMAT}: evaluate again.')
        results.append(content)
    return results


def mean_over_results(results: Sequence[Mapping[str, Any]], names: Sequence[object]) -> dict[str, Any]:
    """Mean and sample deviation of each number over several results.

    Args:
        results: What ``evaluate`` returned, for models that differ in their seed, or in the split that they were
            trained and tested on.
        names: What to call them in messages.

    Returns:
        A result like one of these; each number is a mean, with the sample standard deviation (n - 1) where there are
        several, and the numbers it is the mean of.

    Raises:
        UserError: They differ in protocols, class lists, views, pipelines, templates or glosses, or two are the same.
    """
    first = results[0]
    _refuse_different(results, names)
    rows = []
    for together in zip(*(_keyed(result).values() for result in results), strict=True):
        row = dict(together[0])
        row['videos'] = round(float(np.mean([each['videos'] for each in together])))
        for state in (UNTRAINED, TRAINED):
            row[state] = _mean([each[state] for each in together])
        rows.append(row)
    titles = [_titles(result) for result in results]
    return dict(
        number=len(results),
        over='splits' if len(set(titles)) > 1 else 'seeds',
        files=[str(name) for name in names],
        config=first_few(dict.fromkeys(result['config'] for result in results)),
        training=first.get('training', {}),
        average_clips=first['average_clips'],
        templates=first.get('templates', []),
        lists=first['lists'],
        results=rows,
    )


def _mean(measures: Sequence[Mapping[str, Any] | None]) -> dict[str, Any] | None:
    """The mean of one number; None where one of the results lacks it."""
    if any(measure is None for measure in measures):
        return None
    values = [measure['value'] for measure in measures]
    if len(values) == 1:
        return dict(measures[0])
    return dict(value=float(np.mean(values)), std=float(np.std(values, ddof=1)), values=values)


def _refuse_different(results: Sequence[Mapping[str, Any]], names: Sequence[object]) -> None:
    """Check that results are of one protocol.

    Raises:
        UserError: The first difference.
    """
    first, keys = results[0], list(_keyed(results[0]))
    for result, name in zip(results[1:], names[1:], strict=True):
        pair = f'{names[0]} and {name}'
        if list(_keyed(result)) != keys:
            protocols = (
                ' '.join(dict.fromkeys(row['protocol'] for row in each['results'])) for each in (first, result)
            )
            raise UserError(
                f'{pair} are of different protocols or lists ({" / ".join(protocols)}): a mean says nothing.'
            )
        for what, has, other in _differences(first, result):
            raise UserError(f'{pair} have different {what} ({has} / {other}): a mean over them says nothing.')
    seen: dict[str, object] = {}
    for result, name in zip(results, names, strict=True):
        identity = json.dumps([result['weights'], _titles(result)], sort_keys=True)
        if identity in seen:
            raise UserError(f'{seen[identity]} and {name} are of the same model and lists: give each result once.')
        seen[identity] = name


def _differences(first: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """What differs of what must be equal: what it is, and what both have."""
    for key, what in _OF_RESULT.items():
        if first.get(key) != other.get(key):
            yield what, first.get(key), other.get(key)
    for mine, theirs in zip(first['lists'], other['lists'], strict=True):
        for key, what in _OF_LIST.items():
            if mine[key] != theirs[key]:
                yield what, str(mine[key])[:12], str(theirs[key])[:12]
        has, other_has = (entry.get('glosses', {}).get('digest', 'none') for entry in (mine, theirs))
        if has != other_has:
            yield 'glosses', has[:12], other_has[:12]


def _keyed(result: Mapping[str, Any]) -> dict[tuple, Mapping[str, Any]]:
    """The rows by protocol, place of the list, and measure: lists of splits differ in their titles."""
    places = {entry['title']: number for number, entry in enumerate(result['lists'])}
    return {(row['protocol'], places.get(row['list'], row['list']), row['metric']): row for row in result['results']}


def _titles(result: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(entry['title'] for entry in result['lists'])
