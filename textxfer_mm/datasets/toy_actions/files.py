"""The data set as files: mp4 videos, mmaction annotation lists and lists of class names."""

import json
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2

from textxfer_mm.datasets.toy_actions.jobs import Job, render_jobs
from textxfer_mm.datasets.toy_actions.motions import SEEN_ACTIONS, UNSEEN_ACTIONS
from textxfer_mm.errors import UserError
from textxfer_mm.files import write_text

FORMAT = 2  # to be raised when the drawing changes, so that older files are rendered again
SETTINGS = 'toy_actions.json'
VIDEOS = 'videos'
SPLITS = {'train': SEEN_ACTIONS, 'val': SEEN_ACTIONS, 'zero_shot': UNSEEN_ACTIONS}


def render_toy_actions(
    root: str | os.PathLike,
    *,
    seed: int = 0,
    train_clips: int = 50,
    val_clips: int = 10,
    zero_shot_clips: int = 20,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Render the data set of toy actions.

    Writes ``videos/{train,val,zero_shot}/*.mp4``, the annotation lists ``train.txt``, ``val.txt`` (17 seen classes)
    and ``zero_shot.txt`` (4 unseen classes) with lines ``path label``, and the class names ``classes.txt`` and
    ``zero_shot_classes.txt``. Every file appears complete or not at all: a run that was killed is finished by the next
    one, which keeps the videos that are there. Other settings than those of the files in ``root`` replace them.

    Args:
        root: Folder to write to.
        seed: Seed of all clips.
        train_clips: Training clips a class.
        val_clips: Validation clips a class.
        zero_shot_clips: Clips of each unseen class.
        workers: Number of processes; all cores by default.
        progress: Called with the number of finished videos and the number of all.

    Returns:
        ``root`` as a path.

    Raises:
        UserError: A count or the seed is out of range, or ``root`` holds videos of another origin.
    """
    counts = dict(train=train_clips, val=val_clips, zero_shot=zero_shot_clips)
    if min(counts.values()) < 1 or seed < 0:
        raise UserError(f'Toy actions need a seed >= 0 and at least one clip a class, got seed={seed} and {counts}.')
    root = Path(root)
    _prepare(root, dict(format=FORMAT, seed=seed))
    jobs = [
        Job(str(_video(root, split, label, index)), action, (seed, number, index))
        for number, (split, actions) in enumerate(SPLITS.items())
        for label, action in enumerate(actions)
        for index in range(counts[split])
    ]
    todo = [job for job in jobs if not _readable(job.path)]
    report = progress or (lambda done, total: None)
    report(len(jobs) - len(todo), len(jobs))
    render_jobs(todo, workers or os.cpu_count() or 1, lambda done: report(len(jobs) - len(todo) + done, len(jobs)))
    for split, actions in SPLITS.items():
        lines = [
            f'{_video(root, split, label, index).relative_to(root).as_posix()} {label}'
            for label in range(len(actions))
            for index in range(counts[split])
        ]
        _write(root / f'{split}.txt', lines)
    _write(root / 'classes.txt', SEEN_ACTIONS)
    _write(root / 'zero_shot_classes.txt', UNSEEN_ACTIONS)
    return root


def _video(root: Path, split: str, label: int, index: int) -> Path:
    """Path of one video."""
    name = list(SPLITS[split])[label].replace(' ', '_')
    return root / VIDEOS / split / f'{name}_{index:04d}.mp4'


def _prepare(root: Path, settings: dict) -> None:
    """Make the folders; drop videos that other settings made.

    A run may be killed between any two steps: old videos go before the record of the new settings comes, and the record
    comes before the folders that would be another's without it.
    """
    record = root / SETTINGS
    videos = root / VIDEOS
    known = None
    if record.exists():
        try:
            known = json.loads(record.read_text(encoding='utf-8'))
        except ValueError:
            known = None
    elif videos.exists() and any(videos.iterdir()):
        raise UserError(
            f'{videos} holds files that the renderer of toy actions did not make ({SETTINGS} is missing beside it). '
            'Give another folder.'
        )
    if known != settings:
        shutil.rmtree(videos, ignore_errors=True)
        _write(record, [json.dumps(settings)])
    for split in SPLITS:
        (videos / split).mkdir(parents=True, exist_ok=True)


def _readable(path: str) -> bool:
    """Whether a video is there and complete: the index of an mp4 file is its end."""
    if not os.path.exists(path):
        return False
    capture = cv2.VideoCapture(path)
    frames = capture.get(cv2.CAP_PROP_FRAME_COUNT) if capture.isOpened() else 0
    capture.release()
    return frames > 0


def _write(path: Path, lines: Iterable[str]) -> None:
    """Write lines to a text file, atomically."""
    write_text(path, '\n'.join(lines) + '\n')
