"""The report for reading: ``report.md``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textxfer_mm.apis.folder_training.handing_out import CHECKPOINT, CONFIG
from textxfer_mm.errors import shown

CONFUSION = 'confusion.png'


def to_markdown(report: Mapping[str, Any]) -> str:
    """Render the report for reading."""
    lines = [
        f'# {_cell(Path(report["source"]).name)}',
        '',
        f'{sum(report["videos"])} videos of {len(report["videos"])} classes; {report["validation"]}. Chance is '
        f'{percent(report["chance"])} %, the largest class alone {percent(report["largest_class"])} %. Encoder: '
        f'{_cell(report["model"])}, frozen but where the whole model is trained.',
        '',
        '| candidate | top-1, % | mean class accuracy, % | over the linear probe | seconds |',
        '|---|---|---|---|---|',
        *(_row(entry, report['folds']) for entry in report['candidates']),
        '',
        'Mean ± standard deviation over the folds'
        + ('' if report['folds'] > 1 else ' (here one: the standard error)')
        + '; the last but one column is a mean difference on the same videos and its standard error. The best of '
        'several on few videos is partly luck: expect a little less of it on new ones.',
        '',
        f'**Kept: {_cell(report["kept_because"])}**',
        '',
        *([f'**{report["warning"]}**', ''] if report['warning'] else []),
        _about_testing(report),
        '',
        f'`{CHECKPOINT}` is all that is needed: `textxfer predict VIDEO --checkpoint {_cell(report["checkpoint"])}`.',
        '',
        '| class | videos | accuracy, % |',
        '|---|---|---|',
        *(
            f'| {_cell(name)} | {count} | {percent(share)} |'
            for count, (name, share) in zip(report['videos'], report['class_accuracies'].items(), strict=True)
        ),
        '',
        f'![confusion matrix]({CONFUSION})',
        '',
        'The matrix has each video once, of several repeats the first; the accuracies above are means over all folds.',
        '',
        *_mistake_lines(report['mistakes']),
        *(['Left out, as they cannot be decoded:', ''] if report['left_out'] else []),
        *(f'- {_cell(path)}: {_cell(reason)}' for path, reason in report['left_out'].items()),
        *([''] if report['left_out'] else []),
        '| step | seconds |',
        '|---|---|',
        *(f'| {step} | {seconds:.1f} |' for step, seconds in report['seconds'].items()),
        f'| processor seconds, without those of processes that read videos | {report["processor_seconds"]:.1f} |',
    ]
    return '\n'.join(lines) + '\n'


def _row(entry: Mapping[str, Any], folds: int) -> str:
    """A line of the table of candidates."""
    title = entry['title'] + ('' if entry['folds'] == folds else f' (the first {entry["folds"]} folds)')
    over = f'{100 * entry["over_linear_probe"]:+.1f} ± {100 * entry["over_linear_probe_error"]:.1f}'
    over = '' if entry['title'] == 'linear probe' else over
    cells = [
        title,
        f'{percent(entry["accuracy"])} ± {100 * entry["spread"]:.1f}',
        percent(entry['mean_class_accuracy']),
    ]
    return f'| {" | ".join([*cells, over, format(entry["seconds"], ".1f")])} |'


def _about_testing(report: Mapping[str, Any]) -> str:
    """What ``tools/test.py`` gives for the files, and what that is worth."""
    tested = report['tested']
    files = (str(Path(report['checkpoint']).with_name(CONFIG)), report['checkpoint'])
    said = f'`python tools/test.py {" ".join(map(_cell, files))}` gives {percent(tested["accuracy"])} % on '
    said += f'{tested["videos"]} videos'
    if tested['were_fitted_to']:
        return (
            f'{said}, those that the model was fitted to after the comparison: no measure of how well it does on new '
            'ones, which is the table above.'
        )
    return f'{said}, those of the table.'


def _mistake_lines(mistakes: Sequence[Mapping[str, Any]]) -> list[str]:
    """The mistakes as a table."""
    if not mistakes:
        return ['No video was given a wrong class.', '']
    rows = [
        f'| {picture} | {_cell(m["video"])} | {_cell(m["true"])} | {_cell(m["predicted"])} | {m["score"]:.2f} |'
        for m in mistakes
        for picture in [f'![]({m["thumbnail"]})' if 'thumbnail' in m else '']
    ]
    return [
        'The most confident mistakes:',
        '',
        '| | video | class | predicted | score |',
        '|---|---|---|---|---|',
        *rows,
        '',
    ]


def _cell(text: str) -> str:
    """A text as it can stand in a line of a table."""
    return shown(text, None).replace('|', '\\|').replace('`', "'")


def percent(share: float) -> str:
    """A share in per cent."""
    return f'{100 * share:.1f}'
