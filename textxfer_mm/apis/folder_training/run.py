"""From a folder of videos to a model: all steps."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from textxfer_mm.apis.data_check import check_videos
from textxfer_mm.apis.data_split import groups_of
from textxfer_mm.apis.folder_training.base import Encoder, starting_point, write_list
from textxfer_mm.apis.folder_training.candidates import Samples, head_scores
from textxfer_mm.apis.folder_training.choosing import Validated, choose, folds_for, validate
from textxfer_mm.apis.folder_training.folds import Validation, plan_validation
from textxfer_mm.apis.folder_training.handing_out import CHECKPOINT, hand_out, whole_config
from textxfer_mm.apis.folder_training.plan import plan_lines
from textxfer_mm.apis.folder_training.report import config_header, report_of, write_report
from textxfer_mm.apis.folder_training.videos import LabelledVideos, read_videos
from textxfer_mm.errors import UserError, shown
from textxfer_mm.files import require_writable_folder

#: The work on so many videos is too small to be shared by cores, which would only wait for each other.
_SMALL = 2000
#: Told the step, what is done of it and what is to be done.
Told = Callable[[str, int, int], None]


@dataclass(frozen=True)
class TrainingSettings:
    """What may be chosen.

    Attributes:
        source: Class folders, or a list; see :func:`~textxfer_mm.apis.folder_training.videos.read_videos`.
        out: Folder for the model and the report.
        names: Class names in the order of the labels; None takes those of the folders.
        val: Videos to validate with; None draws them.
        groups: What tells videos that stay on one side, see :func:`~textxfer_mm.apis.data_split.groups_of`.
        seed: Seed of the draws.
        start: The model to start from, see :func:`~textxfer_mm.apis.folder_training.base.starting_point`.
        check: Whether every video is decoded as a whole before.
        device: Where the encoder runs; None takes the GPU where there is one.
    """

    source: str | Path
    out: Path
    names: str | Path | Sequence[str] | None = None
    val: str | Path | None = None
    groups: str | None = None
    seed: int = 0
    start: dict[str, Any] = field(default_factory=dict)
    check: bool = True
    device: str | None = None


class _Clock:
    """Seconds of each step, and of the processor."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._begin = self._last = time.perf_counter()
        self._processor = time.process_time()

    def __call__(self, step: str) -> None:
        """A step has ended."""
        now = time.perf_counter()
        self.seconds[step] = self.seconds.get(step, 0.0) + now - self._last
        self._last = now

    def processor_seconds(self) -> float:
        """Seconds of all cores that this process took."""
        return time.process_time() - self._processor

    def total(self) -> dict[str, float]:
        """All seconds, with their sum."""
        return {**self.seconds, 'total': time.perf_counter() - self._begin}


def train_folder(
    settings: TrainingSettings, *, progress: Told | None = None, say: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Make a model of labelled videos: candidates on the features of a frozen encoder, compared on the same folds.

    Args:
        settings: What may be chosen.
        progress: Told how far the steps are.
        say: Told, a line each, what is going to be done.

    Returns:
        The report, as written to ``report.json``.

    Raises:
        UserError: There is nothing to learn from, or the model does not fit.
    """
    told, say = progress or (lambda *_: None), say or (lambda _: None)
    clock, out = _Clock(), require_writable_folder(settings.out, 'OUT')
    videos = _checked(read_videos(settings.source, names=settings.names, val=settings.val), settings, told)
    clock('checking the videos')
    start = starting_point(videos.class_names, **settings.start)
    encoder = Encoder(start, videos, out, settings.device)
    groups = groups_of(list(videos.paths), settings.groups)
    validation = plan_validation(videos.labels, groups, videos.sides, videos.class_names, settings.seed)
    for line in plan_lines(videos, encoder, validation, settings.groups, len(set(groups))):
        say(line)
    clock('loading the model')
    rows, lost, features = encoder.encode(lambda done, total: told('Encoding', done, total))
    clock('encoding the videos')
    if lost:
        for file, reason in lost.items():
            say(f'left out: {shown(file)}: {shown(reason)}')
        videos = videos.without(lost)
        videos.require_enough()
        groups = groups_of(list(videos.paths), settings.groups)
        validation = plan_validation(videos.labels, groups, videos.sides, videos.class_names, settings.seed)
    samples = Samples(rows, torch.tensor(videos.labels), np.asarray(groups))
    validated = _validated(encoder, samples, validation, settings.seed, told)
    clock('comparing the candidates')
    best = choose(validated)
    head, cfg, tested = _fitted(encoder, best, samples, validation, videos, settings)
    report = report_of(settings, encoder, videos, validation, validated, best, tested)
    hand_out(encoder, head, cfg, out, config_header(report))
    clock('writing the model')
    report.update(features=str(features), checkpoint=str(out / CHECKPOINT))
    write_report(out, report, videos, validation, best, clock)
    return report


def _checked(videos: LabelledVideos, settings: TrainingSettings, told: Told) -> LabelledVideos:
    """The videos that can be decoded."""
    if settings.check:
        reports = []
        for report in check_videos(list(dict.fromkeys(videos.files)), min_frames=1):
            reports.append(report)
            told('Checking', len(reports), len(videos.files))
        wrong = {
            r.video: f'{key}: {r.remarks[key]}' for r in reports for key in ('missing', 'corrupt') if key in r.remarks
        }
        videos = videos.without(wrong)
    videos.require_enough()
    return videos


def _validated(encoder: Encoder, samples: Samples, validation: Validation, seed: int, told: Told) -> list[Validated]:
    """All candidates on their folds."""
    candidates = encoder.candidates(samples.rows.shape[-1])
    plan = [(candidate, folds_for(candidate, validation)) for candidate in candidates]
    total, done = sum(len(folds) for _, folds in plan), Counter()

    def tell() -> None:
        done['folds'] += 1
        told('Comparing the candidates', done['folds'], total)

    told('Comparing the candidates', 0, total)
    with threadpool_limits(1 if len(samples.labels) <= _SMALL else None):
        return [validate(candidate, samples, folds, seed, tell) for candidate, folds in plan]


def _fitted(
    encoder: Encoder,
    best: Validated,
    samples: Samples,
    validation: Validation,
    videos: LabelledVideos,
    settings: TrainingSettings,
) -> tuple[Any, Any, dict[str, Any]]:
    """The winner fitted for good: to all videos after a cross-validation, otherwise to the training side.

    Returns:
        The head, its config, and what ``tools/test.py`` will find.
    """
    out, everything = Path(settings.out), np.arange(len(videos.paths))
    fold = validation.folds[0]
    fitted_to = everything if validation.is_crossed else fold.train
    fitted = best.candidate.fit(samples.at(fitted_to), settings.seed)
    tested = everything if validation.is_crossed else fold.val
    sides = dict(train=fold.train, val=fold.val, test=tested)
    files = {side: out / f'{side}.txt' for side in sides}
    for side, index in sides.items():
        write_list(files[side], [videos.files[n] for n in index], [videos.labels[n] for n in index])
    if fitted.head is None:
        raise UserError(f'{best.candidate.title} cannot be handed out.')
    right = head_scores(fitted.head, samples.rows[tested]).argmax(1) == samples.labels[tested]
    cfg = whole_config(encoder, best.candidate.head_cfg, files, settings.seed)
    return (
        fitted.head,
        cfg,
        dict(
            accuracy=float(right.float().mean()),
            videos=len(tested),
            were_fitted_to=validation.is_crossed,
            settings=fitted.settings,
        ),
    )
