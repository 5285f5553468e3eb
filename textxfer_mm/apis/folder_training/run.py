"""From a folder of videos to a model: all steps."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from textxfer_mm.apis.data_check import check_videos
from textxfer_mm.apis.data_split import groups_of
from textxfer_mm.apis.folder_training.building import Building
from textxfer_mm.apis.folder_training.candidates import Candidate, Fitted, Samples
from textxfer_mm.apis.folder_training.choosing import Validated, choose, folds_for, validate
from textxfer_mm.apis.folder_training.encoder import Encoder
from textxfer_mm.apis.folder_training.finetuning import WholeModel
from textxfer_mm.apis.folder_training.folds import Validation, plan_validation
from textxfer_mm.apis.folder_training.handing_out import hand_out, with_files
from textxfer_mm.apis.folder_training.lists import write_list
from textxfer_mm.apis.folder_training.plan import plan_lines
from textxfer_mm.apis.folder_training.recipes import with_lists
from textxfer_mm.apis.folder_training.report import config_header, remove_report, report_of, write_report
from textxfer_mm.apis.folder_training.settings import Clock, TrainingSettings
from textxfer_mm.apis.folder_training.starting import starting_point
from textxfer_mm.apis.folder_training.videos import LabelledVideos, read_videos
from textxfer_mm.errors import UserError, first_line, shown
from textxfer_mm.files import require_writable_folder

#: The work on so many videos is too small to be shared by cores, which would only wait for each other.
_SMALL = 2000
#: Told the step, what is done of it and what is to be done.
Told = Callable[[str, int, int], None]
#: Told a line.
Said = Callable[[str], None]


def train_folder(
    settings: TrainingSettings, *, progress: Told | None = None, say: Said | None = None
) -> dict[str, Any]:
    """Make a model of labelled videos: candidates are compared on the same folds, and the best is fitted for good.

    Ctrl-C while the whole model is fine-tuned leaves that out, and keeps the best of the others.

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
    finetune, clock, out = settings.trains_whole_model, Clock(), require_writable_folder(settings.out, 'OUT')
    videos = _checked(read_videos(settings.source, names=settings.names, val=settings.val), settings, told)
    clock('checking the videos')
    start = starting_point(videos.class_names, **settings.start)
    encoder = Encoder(start, videos, out, settings.device)
    groups, validation = _planned(videos, settings)
    for line in plan_lines(videos, encoder, validation, settings.groups, len(set(groups)), finetune):
        say(line)
    clock('loading the model')
    encoded = encoder.encode(lambda done, total: told('Encoding', done, total))
    clock('encoding the videos')
    if encoded.lost:
        for file, reason in encoded.lost.items():
            say(f'left out: {shown(file)}: {shown(reason)}')
        videos = videos.without(encoded.lost)
        videos.require_enough()
        groups, validation = _planned(videos, settings)
    labels, files = torch.tensor(videos.labels), np.asarray(videos.files)
    samples = Samples(encoded.rows, labels, np.asarray(groups), encoded.frames, files)
    building, width = Building(encoder, videos), samples.rows.shape[-1]
    candidates = building.candidates(width, None if encoded.frames is None else encoded.frames.shape[2])
    validated = _validated(candidates, samples, validation, settings.seed, told)
    clock('comparing the candidates')
    if finetune:
        whole = WholeModel(building.whole_recipe(width), out, told)
        validated += _validated_whole(whole, samples, validation, settings.seed, say)
        clock('fine-tuning the whole model')
    best, fitted = _fitted(validated, samples, validation, settings.seed, say)
    remove_report(out)  # from here on it would tell of other files
    lists, tested = _tested(fitted, samples, validation, out)
    report = report_of(settings, encoder, videos, validation, validated, best, tested)
    say(f'writing {shown(out)}, which takes up to a minute')
    cfg = with_files(with_lists(best.candidate.recipe, lists, settings.seed), fitted, out)
    made = dict(candidate=report['kept'], videos=len(videos.files), fitted_to_all=validation.is_crossed)
    report['checkpoint'] = str(hand_out(encoder, fitted, cfg, out, config_header(report), made))
    clock('writing the model')
    report['features'] = str(encoded.folder)
    write_report(out, report, videos, validation, best, clock)
    return report


def _planned(videos: LabelledVideos, settings: TrainingSettings) -> tuple[list[str], Validation]:
    """The group of each video, and the folds."""
    groups = groups_of(list(videos.paths), settings.groups)
    return groups, plan_validation(videos.labels, groups, videos.sides, videos.class_names, settings.seed)


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


def _validated(
    candidates: list[Candidate], samples: Samples, validation: Validation, seed: int, told: Told
) -> list[Validated]:
    """The candidates on features, on their folds."""
    plan = [(candidate, folds_for(candidate, validation)) for candidate in candidates]
    total, done = sum(len(folds) for _, folds in plan), Counter()

    def tell() -> None:
        done['folds'] += 1
        told('Comparing the candidates', done['folds'], total)

    told('Comparing the candidates', 0, total)
    with threadpool_limits(1 if len(samples.labels) <= _SMALL else None):
        return [validate(candidate, samples, folds, seed, tell) for candidate, folds in plan]


def _validated_whole(
    whole: WholeModel, samples: Samples, validation: Validation, seed: int, say: Said
) -> list[Validated]:
    """The whole model on its folds; nothing where that was stopped, or cannot be done."""
    folds = folds_for(whole, validation)
    try:
        say(whole.announce(samples, [len(fold.train) for fold in folds], validation.is_crossed))
        return [validate(whole, samples, folds, seed)]
    except KeyboardInterrupt:
        say('stopped: the whole model is left out, the best of the others is kept')
    except (UserError, torch.OutOfMemoryError) as error:
        say(f'the whole model is left out: {first_line(error)}')
    return []


def _fitted(
    validated: list[Validated], samples: Samples, validation: Validation, seed: int, say: Said
) -> tuple[Validated, Fitted]:
    """The best, fitted to all videos after a cross-validation, otherwise to the training side."""
    fitted_to = np.arange(len(samples.labels)) if validation.is_crossed else validation.folds[0].train
    best = choose(validated)
    try:
        return best, best.candidate.fit(samples.at(fitted_to), seed)
    except (KeyboardInterrupt, UserError, torch.OutOfMemoryError) as error:
        if not isinstance(best.candidate, WholeModel):
            raise
        why = 'stopped' if isinstance(error, KeyboardInterrupt) else first_line(error)
        say(f'{why}: the whole model was the best, but is not trained to the end; the next best is kept')
    best = choose([one for one in validated if one is not best])
    return best, best.candidate.fit(samples.at(fitted_to), seed)


def _tested(
    fitted: Fitted, samples: Samples, validation: Validation, out: Path
) -> tuple[dict[str, Path], dict[str, Any]]:
    """The lists of the config, and what ``tools/test.py`` will find with them."""
    fold = validation.folds[0]
    tested = np.arange(len(samples.labels)) if validation.is_crossed else fold.val
    sides = dict(train=fold.train, val=fold.val, test=tested)
    lists = {side: out / f'{side}.txt' for side in sides}
    for side, index in sides.items():
        write_list(lists[side], samples.files[index], samples.labels[index].tolist())
    right = fitted.scores(samples.at(tested)).argmax(1) == samples.labels[tested]
    return lists, dict(
        accuracy=float(right.float().mean()),
        videos=len(tested),
        were_fitted_to=validation.is_crossed,
        settings=fitted.settings,
    )
