"""The report: ``report.json``, ``report.md``, the confusion matrix, and the most confident mistakes with a picture."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from textxfer_mm.apis.folder_training.choosing import Validated, lead, probe_of
from textxfer_mm.apis.folder_training.encoder import Encoder
from textxfer_mm.apis.folder_training.folds import Validation
from textxfer_mm.apis.folder_training.handing_out import CHECKPOINT, CONFIG
from textxfer_mm.apis.folder_training.markdown import CONFUSION, percent, to_markdown
from textxfer_mm.apis.folder_training.mistakes import confident_mistakes
from textxfer_mm.apis.folder_training.settings import Clock, TrainingSettings
from textxfer_mm.apis.folder_training.videos import LabelledVideos
from textxfer_mm.errors import shown
from textxfer_mm.files import write_text
from textxfer_mm.version import __version__
from textxfer_mm.visualization import plot_confusion_matrix

REPORT = 'report'


def report_of(
    settings: TrainingSettings,
    encoder: Encoder,
    videos: LabelledVideos,
    validation: Validation,
    validated: Sequence[Validated],
    best: Validated,
    tested: Mapping[str, Any],
) -> dict[str, Any]:
    """What was found, as JSON has it."""
    probe = probe_of(validated)
    counts = np.array(videos.counts)
    largest_class = float(counts.max() / counts.sum())
    return dict(
        source=str(settings.source),
        seed=settings.seed,
        groups=settings.groups,
        version=__version__,
        cpu_count=os.cpu_count(),
        model=encoder.start.title,
        class_names=list(videos.class_names),
        videos=videos.counts,
        left_out=dict(videos.left_out),
        validation=validation.about,
        folds=len(validation.folds),
        chance=1 / len(counts),
        largest_class=largest_class,
        candidates=[_entry(one, probe) for one in validated],
        no_candidates_by_names=encoder.text_reason,
        kept=best.candidate.title,
        trained_again=best.candidate.again,
        kept_because=_reason(best, validated),
        warning=_warning(best, largest_class),
        class_accuracies=dict(zip(videos.class_names, map(float, best.class_accuracies), strict=True)),
        tested=dict(tested),
    )


def _entry(one: Validated, probe: Validated) -> dict[str, Any]:
    """A line of the table."""
    ahead = lead(one, probe)
    return dict(
        title=one.candidate.title,
        accuracy=one.accuracy,
        spread=one.spread,
        mean_class_accuracy=float(one.class_accuracies.mean()),
        over_linear_probe=ahead.mean,
        over_linear_probe_error=ahead.spread,
        folds=len(one.folds),
        seconds=one.seconds,
        settings=list(one.settings),
    )


def _reason(best: Validated, validated: Sequence[Validated]) -> str:
    """Why it was kept, with its lead over the linear probe or over what comes next."""
    probe = probe_of(validated)
    others = [one for one in validated if one is not best]
    rival = probe if best is not probe else max(others, key=lambda one: one.accuracy, default=None)
    said = f'{best.candidate.title}: {percent(best.accuracy)} ± {100 * best.spread:.1f} %'
    if rival is not None:
        ahead = lead(best, rival)
        words = 'beyond the spread' if ahead.is_beyond_spread else 'within the spread, so they are about equal'
        said += (
            f', {100 * ahead.mean:+.1f} points (standard error {100 * ahead.spread:.1f}) over {rival.candidate.title}: '
            f'{words}'
        )
    return said + '.'


def _warning(best: Validated, largest_class: float) -> str:
    """A sentence where the model may only be guessing."""
    if best.accuracy - best.spread > largest_class:
        return ''
    return (
        'The accuracy of the model that was kept, less its spread, is not above that of always answering the largest '
        f'class ({percent(largest_class)} %): it may only be guessing. A stronger encoder (--model), more videos, or '
        'classes that look different can help.'
    )


def remove_report(out: Path) -> None:
    """Remove the report of an earlier run."""
    for suffix in ('json', 'md'):
        (out / f'{REPORT}.{suffix}').unlink(missing_ok=True)


def write_report(
    out: Path, report: dict[str, Any], videos: LabelledVideos, validation: Validation, best: Validated, clock: Clock
) -> None:
    """Write all of it, ``report.json`` last: it is the sign that all is done."""
    repeat = len(validation.first_repeat)
    index = np.concatenate([fold.val for fold in best.folds[:repeat]])
    scores, labels = (np.concatenate(parts[:repeat]) for parts in (best.scores, best.labels))
    counts = np.zeros((scores.shape[1],) * 2, dtype=int)
    np.add.at(counts, (labels, scores.argmax(1)), 1)
    plot_confusion_matrix(out / CONFUSION, counts, videos.class_names)
    report['confusion'] = counts.tolist()
    report['mistakes'] = confident_mistakes(out, videos, index, scores, labels)
    clock('writing the report')
    report['seconds'] = clock.total()
    report['processor_seconds'] = clock.processor_seconds()
    write_text(out / f'{REPORT}.md', to_markdown(report))
    write_text(out / f'{REPORT}.json', json.dumps(report, indent=2) + '\n')


def config_header(report: Mapping[str, Any]) -> str:
    """What the config says of itself."""
    fitted = report['tested']
    lines = [
        f'Made by textxfer train of {shown(report["source"])}: {report["kept_because"]}',
        f'Its model is {CHECKPOINT}: python tools/test.py {CONFIG} {CHECKPOINT} gives top-1 {fitted["accuracy"]:.4f}'
        + (', on the videos that it was fitted to.' if fitted['were_fitted_to'] else ', the number of the report.'),
        report['trained_again'],
        'It trains on train.txt' + (' and validates on val.txt, the first fold.' if report['folds'] > 1 else '.'),
    ]
    return '\n'.join(lines) + '\n'
