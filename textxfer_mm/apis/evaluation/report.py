"""A result for reading: one table, what it was measured with, and what must not be compared."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textxfer_mm.apis.evaluation.measures import METRICS
from textxfer_mm.errors import first_few
from textxfer_mm.evaluation.protocol_names import PROTOCOLS
from textxfer_mm.files import write_text

COLUMNS = ('protocol', 'list', 'measure', 'classes', 'videos', 'chance', 'untrained', 'trained')
#: The columns that are numbers.
NUMBERS = ('classes', 'videos', 'chance', 'untrained', 'trained')


def table_of(result: Mapping[str, Any]) -> list[list[str]]:
    """The rows of a result under :data:`COLUMNS`; shares are in per cent."""
    titles = [entry['title'] for entry in result['lists']]
    names = [Path(title).name for title in titles]
    short = dict(zip(titles, names, strict=True)) if len(set(names)) == len(names) else {}
    return [
        [
            PROTOCOLS[row['protocol']],
            short.get(row['list'], row['list']),
            METRICS[row['metric']],
            f'{row["classes"]}',
            f'{row["videos"]}',
            _percent(row['chance']),
            measure_text(row['untrained']),
            measure_text(row['trained']),
        ]
        for row in result['results']
    ]


def measure_text(measure: Mapping[str, Any] | None) -> str:
    """A number in per cent with its deviation, or a dash for what was not measured."""
    if measure is None:
        return '-'
    spread = measure.get('std')
    return _percent(measure['value']) + ('' if spread is None else f' ± {100 * spread:.1f}')


def _percent(share: float | None) -> str:
    return '-' if share is None else f'{100 * share:.1f}'


def facts_of(result: Mapping[str, Any]) -> list[str]:
    """What was measured, one sentence a line."""
    digests = ', '.join(f'{name} {digest[:12]}' for name, digest in result['weights'].items())
    lines = [f'Config {result["config"]}, {result["checkpoint"] or "no checkpoint"}; digests of weights: {digests}.']
    if result.get('training') and result['checkpoint']:
        parts = dict(shots='{} videos of each class', fraction='a share of {:g} of the videos of each class')
        lines[0] += f' Trained on {" and ".join(parts[key].format(n) for key, n in result["training"].items())}.'
    classifier = f'Classifier: {result["classifier"]}'
    if 'encoder' in result:
        templates = first_few((repr(template) for template in result['templates']), 3)
        classifier += f' by {result["encoder"]}, templates {templates or "none"}, scale {result["scale"]:g}'
    lines.append(f'{classifier}. Views become one score by average_clips={result["average_clips"]!r}.')
    for entry in result['lists']:
        classes = f'{entry["classes"]} classes'
        if 'glosses' in entry:
            told = entry['glosses']
            classes += f', {told["classes"]} of them with glosses (digest {told["digest"][:12]})'
        kind = 'zero-shot, other names' if entry['zero_shot'] else "the model's own classes"
        lines.append(
            f'{entry["title"]}: {entry["videos"]} videos of {entry["views"]} view(s), {len(entry["skipped"])} skipped; '
            f'{classes} ({kind}; digest of the list {entry["class_digest"][:12]}).'
        )
    return lines


def notes_of(result: Mapping[str, Any]) -> list[str]:
    """What a reader must know beside the numbers, one sentence a line."""
    untrained, lines = result['untrained'], []
    if 'reason' in untrained:
        lines.append(f'No untrained baseline: {untrained["reason"].rstrip(".")}.')
    elif untrained['note']:
        lines.append(f'The untrained model is the one before training, {untrained["note"]}.')
    protocols = {row['protocol'] for row in result['results']}
    if 'half' in protocols:
        lines.append(
            'Half-class: mean and population deviation over 10 draws of half of the classes, whose names compete '
            'alone and whose videos alone are tested: not comparable with full-class numbers or with means over splits.'
        )
    if 'splits' in protocols:
        lines.append('Mean over lists: mean and population deviation over the lists, all classes of each.')
    if protocols & {'mean-class', 'map', 'map-11'}:
        lines.append('Mean class accuracy and mAP are means over the classes that have videos.')
    for entry in result['lists']:
        if entry['skipped']:
            named = first_few((f'{name} ({reason})' for name, reason in entry['skipped'].items()), 5, '; ')
            lines.append(f'Skipped of {entry["title"]}, because they could not be decoded: {named}.')
    return lines


def calibration_lines(found: Mapping[str, Any]) -> list[str]:
    """What calibration found, one sentence a line."""
    validation = found['validation']
    lines = [
        f'Calibrated on {validation["videos"]} videos of {validation["title"]} ({found["model"]} model): temperature '
        f'{found["temperature"]:.4g}; below a confidence of {found["threshold"]:.4f} a video is "none of these", which '
        f'loses at most {100 * found["lost_share"]:g} % of the validation videos.'
    ]
    if found['note']:
        lines.append(f'The temperature is left at 1. {found["note"]}')
    if validation['trained_on']:
        lines.append(
            'The model was trained on that list, and is surer of its videos than of new ones: such a temperature is '
            'too low, and such a threshold loses more known videos. Give videos that it has not seen.'
        )
    if validation['tested_too']:
        lines.append(
            f'{validation["tested_too"]} of the tested videos were calibrated on, so the numbers below flatter.'
        )
    for entry in found['lists']:
        who = 'of other classes, rejected among the own names' if entry['zero_shot'] else 'of known classes, lost'
        (before, after), (nll, nll_after) = entry['error'], entry['nll']
        lines.append(
            f'{entry["list"]}: expected calibration error ({found["bins"]} bins) {100 * before:.1f} % before and '
            f'{100 * after:.1f} % after, negative log-likelihood {nll:.3f} and {nll_after:.3f}; {who}: '
            f'{100 * entry["rejected"]:.1f} %.'
        )
    if 'stacking' in found:
        part = found['stacking']
        names = dict(
            without='without a constant',
            validation=f'with {part["constant"]:.4g} taken off the seen logits (loses at most '
            f'{100 * found["lost_share"]:g} % of the validation videos)',
            best='with the constant that is best on the tested videos themselves (an upper bound)',
        )
        for key, how in names.items():
            lines.append(
                f'All names competing, {how}: base {_percent(part[key]["base"])} %, '
                f'novel {_percent(part[key]["novel"])} %, harmonic mean {_percent(part[key]["harmonic_mean"])} %.'
            )
    return lines


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[str] = ()) -> list[str]:
    """The lines of a table in Markdown; columns of numbers are aligned to the right."""
    marks = ['---:' if column in numbers else '---' for column in columns]
    cells = [[cell.replace('|', '\\|').replace('\n', ' ') for cell in row] for row in (columns, marks, *rows)]
    return [f'| {" | ".join(row)} |' for row in cells]


def to_markdown(result: Mapping[str, Any]) -> str:
    """A whole result as a page."""
    lines = ['# Evaluation', '', *(f'- {line}' for line in facts_of(result)), '']
    lines += ['Accuracies and deviations in per cent.', '', *markdown_table(COLUMNS, table_of(result), NUMBERS), '']
    lines += [f'- {line}' for line in notes_of(result)]
    if 'calibration' in result:
        lines += ['', '## Calibration', '', *(f'- {line}' for line in calibration_lines(result['calibration']))]
    return '\n'.join(lines).rstrip() + '\n'


def write_result(
    result: Mapping[str, Any], json_file: str | Path | None = None, markdown_file: str | Path | None = None
) -> None:
    """Write a result; each file appears whole or not at all."""
    if json_file is not None:
        write_text(json_file, json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False) + '\n')
    if markdown_file is not None:
        write_text(markdown_file, to_markdown(result))
