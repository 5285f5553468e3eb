"""The report of the quick start: ``report.json``, ``report.md`` and the plots."""

import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from textxfer_mm.datasets.toy_actions import SEEN_ACTIONS, UNSEEN_ACTIONS
from textxfer_mm.evaluation.scores import Scores
from textxfer_mm.files import write_text

PACKAGES = (
    'textxfer_mm',
    'torch',
    'torchvision',
    'mmengine',
    'mmcv-lite',
    'mmaction2',
    'open_clip_torch',
    'timm',
    'sentence-transformers',
    'decord',
    'numpy',
)
PAIRS = tuple((f'{gait} to the left', f'{gait} to the right') for gait in ('walking', 'running', 'jumping'))
#: The plots, with what they show.
PLOTS = {
    'curves.png': 'Loss and accuracy of each step (pale), their running mean over 20 steps, and the validation.',
    'class_correlation.png': f'Cosines between the embedded class names; the last {len(UNSEEN_ACTIONS)} are unseen.',
    'confusion.png': 'The seen classes, with 4 x 3 views.',
}
VIEWS = {'single_view': '1 view', 'views_4x3': '4 x 3 views'}


def measured(before: float, results: Mapping[str, Scores]) -> dict[str, Any]:
    """All accuracies.

    Args:
        before: Zero-shot top-1 on the unseen classes before training.
        results: For each key of :data:`VIEWS`, the scores of the seen and unseen videos against all class names.
    """
    seen = {view: scores.among(tuple(SEEN_ACTIONS)) for view, scores in results.items()}
    unseen = {view: scores.among(tuple(UNSEEN_ACTIONS)) for view, scores in results.items()}
    sizes = {
        name: dict(classes=len(actions), videos=len(part['single_view'].labels), chance=1 / len(actions))
        for name, actions, part in (('seen', SEEN_ACTIONS, seen), ('zero_shot', UNSEEN_ACTIONS, unseen))
    }
    tops = {f'top{k}': {view: part.top(k) for view, part in seen.items()} for k in (1, 5)}
    after = {view: part.top(1) for view, part in unseen.items()}
    among_all = {view: scores.top1_of(tuple(UNSEEN_ACTIONS)) for view, scores in results.items()}
    return dict(
        seen=dict(**sizes['seen'], **tops),
        zero_shot=dict(
            **sizes['zero_shot'],
            class_names=list(UNSEEN_ACTIONS),
            before=dict(single_view=before),
            after=after,
            after_among_all_classes=among_all,
        ),
        left_right={
            ' / '.join(pair): {view: scores.among(pair).top(1) for view, scores in results.items()} for pair in PAIRS
        },
    )


def environment() -> dict[str, Any]:
    """The number of cores, and the versions of Python and of the packages that matter, where installed."""
    found = {'python': platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return dict(cpu_count=os.cpu_count(), versions=found)


def write_report(work_dir: Path, report: Mapping[str, Any]) -> None:
    """Write ``report.md`` and, as the sign that all is done, ``report.json``."""
    write_text(work_dir / 'report.md', to_markdown(report))
    write_text(work_dir / 'report.json', json.dumps(report, indent=2) + '\n')


def to_markdown(report: Mapping[str, Any]) -> str:
    """Render the report for reading."""
    seen, unseen, pairs = report['seen'], report['zero_shot'], report['left_right']
    lines = [
        '# Quick start',
        '',
        f'Seed {report["seed"]}. {report["seconds"]["total"]:.0f} s on {report["cpu_count"]} CPU cores, '
        f'{report["training"]["seconds_per_step"]:.3f} s for each of the {report["training"]["steps"]} training steps. '
        'All accuracies are shares of videos in per cent.',
        '',
        f'| | classes | videos | chance | {" | ".join(VIEWS.values())} |',
        '|---|---|---|---|---|---|',
        _row('seen classes, top-1', seen, 'top1'),
        _row('seen classes, top-5', seen, 'top5'),
        _row('unseen classes, top-1, before training', unseen, 'before'),
        _row('unseen classes, top-1, after training', unseen, 'after'),
        _row('the same with the names of the seen classes competing', unseen, 'after_among_all_classes'),
        '',
        'Left against right, two classes at a time (chance 50):',
        '',
        f'| pair | {" | ".join(VIEWS.values())} |',
        '|---|---|---|',
        *(f'| {pair} | {" | ".join(_percent(values.get(view)) for view in VIEWS)} |' for pair, values in pairs.items()),
        '',
        f'Prediction of one video, `{report["prediction"]["video"]}`, of the unseen class '
        f'"{report["prediction"]["truth"]}", among all classes: '
        + ', '.join(f'{name} {score:.2f}' for name, score in report['prediction']['top'])
        + '.',
        '',
        *(line for name in report['plots'] for line in (f'![{name}]({name})', '', PLOTS[name], '')),
        '| step | seconds |',
        '|---|---|',
        *(f'| {step} | {seconds:.1f} |' for step, seconds in report['seconds'].items()),
        '',
        'Versions: ' + ', '.join(f'{name} {number}' for name, number in report['versions'].items()) + '.',
    ]
    return '\n'.join(lines) + '\n'


def _row(title: str, part: Mapping[str, Any], key: str) -> str:
    """One line of the table of results."""
    names = part['classes'] if key != 'after_among_all_classes' else len(SEEN_ACTIONS) + len(UNSEEN_ACTIONS)
    chance = (5 if key == 'top5' else 1) / names
    cells = ' | '.join(_percent(part[key].get(view)) for view in VIEWS)
    return f'| {title} | {names} | {part["videos"]} | {_percent(chance)} | {cells} |'


def _percent(share: float | None) -> str:
    """A share in per cent; a dash for what was not measured."""
    return '-' if share is None else f'{100 * share:.1f}'
