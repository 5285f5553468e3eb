"""The report: ``report.json``, ``report.md``, the confusion matrix, and the most confident mistakes with a picture."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from textxfer_mm.apis.folder_training.base import Encoder
from textxfer_mm.apis.folder_training.choosing import Validated, lead, probe_of
from textxfer_mm.apis.folder_training.folds import Validation
from textxfer_mm.apis.folder_training.handing_out import CHECKPOINT, CONFIG
from textxfer_mm.apis.folder_training.videos import LabelledVideos
from textxfer_mm.errors import shown
from textxfer_mm.files import replacing, write_text
from textxfer_mm.version import __version__
from textxfer_mm.video.reader import VideoReader
from textxfer_mm.video.unreadable import UnreadableVideoError
from textxfer_mm.visualization import plot_confusion_matrix

if TYPE_CHECKING:
    from textxfer_mm.apis.folder_training.run import TrainingSettings

REPORT, CONFUSION, MISTAKES = 'report', 'confusion.png', 'mistakes'
_MISTAKES = 12
_THUMBNAIL = (192, 192)


def report_of(
    settings: 'TrainingSettings',
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
        largest_class=float(counts.max() / counts.sum()),
        candidates=[_entry(one, probe) for one in validated],
        no_candidates_by_names=encoder.text_reason,
        kept=best.candidate.title,
        kept_because=_reason(best, validated),
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
        can_be_handed_out=one.candidate.head_cfg is not None,
        seconds=one.seconds,
        settings=list(one.settings),
    )


def _reason(best: Validated, validated: Sequence[Validated]) -> str:
    """Why it was kept, with its lead over the linear probe or over what comes next."""
    probe = probe_of(validated)
    others = [one for one in validated if one is not best and one.candidate.head_cfg is not None]
    rival = probe if best is not probe else max(others, key=lambda one: one.accuracy, default=None)
    said = f'{best.candidate.title}: {_percent(best.accuracy)} ± {100 * best.spread:.1f} %'
    if rival is not None:
        ahead = lead(best, rival)
        words = 'beyond the spread' if ahead.is_beyond_spread else 'within the spread, so they are about equal'
        said += (
            f', {100 * ahead.mean:+.1f} points (standard error {100 * ahead.spread:.1f}) over {rival.candidate.title}: '
            f'{words}'
        )
    reported = [one for one in validated if one.candidate.head_cfg is None and one.accuracy > best.accuracy]
    if reported:
        top = max(reported, key=lambda one: one.accuracy)
        said += (
            f'. {top.candidate.title} has {_percent(top.accuracy)} %, but keeps its training videos beside the model, '
            'which no checkpoint here can: it is reported, not handed out'
        )
    return said + '.'


def write_report(
    out: Path, report: dict[str, Any], videos: LabelledVideos, validation: Validation, best: Validated, clock: Any
) -> None:
    """Write all of it, ``report.json`` last: it is the sign that all is done."""
    repeat = len(validation.first_repeat)
    index = np.concatenate([fold.val for fold in best.folds[:repeat]])
    scores, labels = (np.concatenate(parts[:repeat]) for parts in (best.scores, best.labels))
    counts = np.zeros((scores.shape[1],) * 2, dtype=int)
    np.add.at(counts, (labels, scores.argmax(1)), 1)
    plot_confusion_matrix(out / CONFUSION, counts, videos.class_names)
    report['confusion'] = counts.tolist()
    report['mistakes'] = _mistakes(out, videos, index, scores, labels)
    clock('writing the report')
    report['seconds'] = clock.total()
    report['processor_seconds'] = clock.processor_seconds()
    write_text(out / f'{REPORT}.md', to_markdown(report))
    write_text(out / f'{REPORT}.json', json.dumps(report, indent=2) + '\n')


def _mistakes(
    out: Path, videos: LabelledVideos, index: np.ndarray, scores: np.ndarray, labels: np.ndarray
) -> list[dict[str, Any]]:
    """The videos that were given the wrong class with the highest scores, each with its middle frame as a picture."""
    chosen = scores.argmax(1)
    wrong = np.flatnonzero(chosen != labels)
    wrong = wrong[np.argsort(-scores[wrong, chosen[wrong]], kind='stable')][:_MISTAKES]
    made = []
    for number, row in enumerate(wrong, 1):
        file = videos.files[index[row]]
        picture = f'{MISTAKES}/{number:02d}.jpg'
        said, true = (videos.class_names[label] for label in (chosen[row], labels[row]))
        entry = dict(video=file, predicted=said, score=float(scores[row, chosen[row]]), true=true)
        with suppress(UnreadableVideoError, OSError, IndexError):  # it was read before, and may be gone since
            _write_thumbnail(file, out / picture)
            entry['thumbnail'] = picture
        made.append(entry)
    return made


def _write_thumbnail(file: str, path: Path) -> None:
    """Write the middle frame of a video."""
    reader = VideoReader(file)
    try:
        image = Image.fromarray(reader.read([len(reader) // 2])[0])
    finally:
        reader.close()
    image.thumbnail(_THUMBNAIL)
    with replacing(path) as part:
        image.save(part, quality=85)


def to_markdown(report: Mapping[str, Any]) -> str:
    """Render the report for reading."""
    lines = [
        f'# {_cell(Path(report["source"]).name)}',
        '',
        f'{sum(report["videos"])} videos of {len(report["videos"])} classes; {report["validation"]}. Chance is '
        f'{_percent(report["chance"])} %, the largest class alone {_percent(report["largest_class"])} %. Encoder: '
        f'{_cell(report["model"])}, frozen.',
        '',
        '| candidate | top-1, % | mean class accuracy, % | over the linear probe | seconds |',
        '|---|---|---|---|---|',
        *map(_row, report['candidates']),
        '',
        'Mean ± standard deviation over the folds'
        + ('' if report['folds'] > 1 else ' (here one: the standard error)')
        + '; the last but one column is a mean difference on the same videos and its standard error. The best of '
        'several on few videos is partly luck: expect a little less of it on new ones.',
        '',
        f'**Kept: {_cell(report["kept_because"])}**',
        '',
        _about_testing(report),
        '',
        f'`{CHECKPOINT}` is all that is needed: `textxfer predict VIDEO --checkpoint {CHECKPOINT}`.',
        '',
        '| class | videos | accuracy, % |',
        '|---|---|---|',
        *(
            f'| {_cell(name)} | {count} | {_percent(share)} |'
            for count, (name, share) in zip(report['videos'], report['class_accuracies'].items(), strict=True)
        ),
        '',
        f'![confusion matrix]({CONFUSION})',
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


def _row(entry: Mapping[str, Any]) -> str:
    """A line of the table of candidates."""
    name = entry['title'] + ('' if entry['can_be_handed_out'] else ' (reported only)')
    over = f'{100 * entry["over_linear_probe"]:+.1f} ± {100 * entry["over_linear_probe_error"]:.1f}'
    over = '' if entry['title'] == 'linear probe' else over
    cells = [
        name,
        f'{_percent(entry["accuracy"])} ± {100 * entry["spread"]:.1f}',
        _percent(entry['mean_class_accuracy']),
    ]
    return f'| {" | ".join([*cells, over, format(entry["seconds"], ".1f")])} |'


def _about_testing(report: Mapping[str, Any]) -> str:
    """What ``tools/test.py`` gives for the files, and what that is worth."""
    tested = report['tested']
    said = f'`python tools/test.py {CONFIG} {CHECKPOINT}` gives {_percent(tested["accuracy"])} % on '
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


def config_header(report: Mapping[str, Any]) -> str:
    """What the config says of itself."""
    fitted = report['tested']
    lines = [
        f'Made by textxfer train of {shown(report["source"])}: {report["kept_because"]}',
        f'Its model is {CHECKPOINT}: python tools/test.py {CONFIG} {CHECKPOINT} gives top-1 {fitted["accuracy"]:.4f}'
        + (', on the videos that it was fitted to.' if fitted['were_fitted_to'] else ', the number of the report.'),
        'The head was fitted to features of the frozen encoder; python tools/train.py trains it by',
        'gradient on train.txt' + (' and validates on val.txt, the first fold.' if report['folds'] > 1 else '.'),
    ]
    return '\n'.join(lines) + '\n'


def _cell(text: str) -> str:
    """A text as it can stand in a line of a table."""
    return shown(text, None).replace('|', '\\|').replace('`', "'")


def _percent(share: float) -> str:
    """A share in per cent."""
    return f'{100 * share:.1f}'
