"""Decoding all videos of a list or a folder, to know before a run what they are worth."""

import os
import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from textxfer_mm.apis.video_lists import read_list_lines, videos_below
from textxfer_mm.errors import UserError, shown
from textxfer_mm.inputs import VIDEO_SUFFIXES
from textxfer_mm.video.examine import Examination, examine
from textxfer_mm.video.guard import GuardedProcess
from textxfer_mm.video.unreadable import UnreadableVideoError

#: Numbers of videos of Kinetics that the authors of MultiTrain could still download (their supplement, Table 1).
RELEASED = {
    'kinetics400-train': 234_583,
    'kinetics400-val': 19_760,
    'kinetics700-train': 525_460,
    'kinetics700-val': 33_370,
}

#: What can be remarked of a video, and what it means.
REMARKS = {
    'missing': 'is not there',
    'corrupt': 'gives no frames',
    'short': 'has fewer frames than asked for',
    'odd': 'gives frames, but not as it declares, or damaged ones',
    'wrongly seekable': 'decoders that seek by the number of a frame, as decord does, give other frames',
}


@dataclass(frozen=True)
class VideoReport:
    """What is to be said of one video.

    Attributes:
        video: Its path.
        remarks: Keys of :data:`REMARKS` with the reason; none where the video is sound.
        examination: What was found.
    """

    video: str
    remarks: dict[str, str]
    examination: Examination


def videos_to_check(source: str | Path, data_root: str | Path | None = None) -> list[str]:
    """The videos of a folder and its subfolders, or those of an annotation list, in its order.

    Args:
        source: A folder, or a list whose lines are a path and labels (``video.mp4 0``).
        data_root: Where the paths of a list begin; None takes the folder of the list.

    Raises:
        UserError: There is nothing there, or no video in it.
        PermissionError: A folder may not be listed.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        found = videos_below(path)
        if not found:
            raise UserError(f'The folder {shown(path)} holds no video ({", ".join(VIDEO_SUFFIXES)}).')
        return found
    if path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES:
        return [str(path)]
    root = Path(data_root).expanduser() if data_root is not None else path.parent
    found = [str(root / line.path) for line in read_list_lines(path)]
    if not any(map(os.path.exists, found)):
        raise UserError(
            f'None of the {len(found):,} videos of {shown(path)} is there, the first one {shown(found[0])}: give the '
            'folder where their paths begin (--data-root).'
        )
    return list(dict.fromkeys(found))


def check_videos(videos: Sequence[str], *, min_frames: int = 8, workers: int | None = None) -> Iterator[VideoReport]:
    """Decode every video in processes that may die of it; reports come as they are ready.

    Args:
        videos: Paths of files.
        min_frames: Videos with fewer frames are short.
        workers: Number of processes; None takes one a core.
    """
    workers = max(1, min(workers or _cores(), len(videos)))
    children = [GuardedProcess() for _ in range(workers)]
    free: queue.SimpleQueue[GuardedProcess] = queue.SimpleQueue()
    for child in children:
        free.put(child)
    pool = ThreadPoolExecutor(workers)
    try:
        tasks = {pool.submit(_with_child, free, _examine, video): video for video in videos}
        for task in as_completed(tasks):
            yield VideoReport(tasks[task], _remarks(task.result(), min_frames), task.result())
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in children:
            child.close()


def _cores() -> int:
    """The cores that this process may use, as far as the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def _with_child(free: queue.SimpleQueue, call: Callable, *args: Any) -> Any:
    child = free.get()
    try:
        return call(child, *args)
    finally:
        free.put(child)


def _examine(child: GuardedProcess, video: str) -> Examination:
    try:
        return child.call(examine, video)
    except UnreadableVideoError as error:
        return Examination(None, reason=str(error))


def _remarks(examination: Examination, min_frames: int) -> dict[str, str]:
    """What is to be said of a video."""
    facts = examination.facts
    if facts is None:
        return {'missing' if examination.reason == 'missing file' else 'corrupt': examination.reason}
    remarks = {}
    if examination.decoded < min_frames:
        remarks['short'] = f'{examination.decoded} frames, {min_frames} asked for'
    if examination.damaged:
        remarks['odd'] = f'{examination.damaged} of {examination.decoded} frames are damaged'
    elif facts.declared and abs(facts.declared - facts.frames) > 1:
        remarks['odd'] = f'declares {facts.declared} frames, shows {facts.frames}'
    elif abs(examination.decoded - facts.frames) > 1:
        remarks['odd'] = f'{facts.frames} frames are stored, {examination.decoded} can be decoded'
    if facts.seeking:
        remarks['wrongly seekable'] = facts.seeking
    return remarks


def summary(reports: Sequence[VideoReport], released: int | None = None) -> dict[str, Any]:
    """Count what was found, for JSON.

    Args:
        reports: One for each video.
        released: Number of videos of the released dataset; the share kept is that of videos that give frames.

    Returns:
        ``checked``, ``sound``, a number for each of :data:`REMARKS`, ``readable``, with ``released`` its ``share_kept``
        and under ``videos`` those with remarks.
    """
    readable = sum(report.examination.facts is not None for report in reports)
    counts = {remark: sum(remark in report.remarks for report in reports) for remark in REMARKS}
    result = dict(
        checked=len(reports), readable=readable, sound=sum(not report.remarks for report in reports), **counts
    )
    if released is not None:
        result.update(released=released, share_kept=readable / released)
    result['videos'] = [
        dict(video=report.video, remarks=report.remarks, **asdict(report.examination))
        for report in sorted(reports, key=lambda report: report.video)
        if report.remarks
    ]
    return result
