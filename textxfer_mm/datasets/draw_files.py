"""Which videos were drawn, in a file: to be published, and to be trained with again."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textxfer_mm.datasets.list_trees import Row
from textxfer_mm.errors import UserError, first_few, first_line, shown
from textxfer_mm.files import require_writable_file, write_text
from textxfer_mm.text_files import read_text

_KEYS = ('shots', 'seed', 'videos_of_list', 'digest_of_list', 'videos')


def write_draw(path: Path, rows: Sequence[Row], kept: Sequence[Row], *, shots: int, seed: int) -> None:
    """Write a draw of some videos of each class, as JSON.

    Args:
        path: The file; it appears whole or not at all.
        rows: All videos.
        kept: Those that were drawn.
        shots: Videos of each class.
        seed: Seed of the draw.

    Raises:
        UserError: The file cannot be written.
    """
    require_writable_file(path, 'draw_file')
    facts = dict(shots=int(shots), seed=int(seed), videos_of_list=len(rows), digest_of_list=_digest(rows))
    head = json.dumps(facts, indent=1)[:-2]
    videos = ',\n'.join(f'  {json.dumps([row.name, int(row.label)], ensure_ascii=False)}' for row in kept)
    write_text(path, f'{head},\n "videos": [\n{videos}\n ]\n}}\n')


def read_draw(path: Path, rows: Sequence[Row], *, shots: int, seed: int) -> list[Row]:
    """Read which videos were drawn, in the order of the list.

    Args:
        path: A file of :func:`write_draw`.
        rows: All videos.
        shots: Videos of each class that are asked for.
        seed: Seed that is asked for.

    Raises:
        UserError: It is no such file, or one of another number, seed or list.
    """
    facts = _parsed(path)
    otherwise = 'Give the file that belongs to it, or another draw_file that is not there yet.'
    for name, asked in (('shots', shots), ('seed', seed)):
        if facts[name] != asked:
            raise UserError(
                f'draw_file {shown(path)} is a draw with {name}={shown(facts[name])}, and {name}={asked} is asked for. '
                f'{otherwise}'
            )
    if facts['digest_of_list'] != _digest(rows):
        raise UserError(
            f'draw_file {shown(path)} is a draw from another list: one of {shown(facts["videos_of_list"])} videos, '
            f'where this one has {len(rows)} (names, labels and order count). {otherwise}'
        )
    return _found(path, facts['videos'], rows, shots)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f'draw_file {shown(path)} is not valid JSON ({first_line(error)}).') from error
    if not isinstance(facts, dict) or any(key not in facts for key in _KEYS):
        raise UserError(f'draw_file {shown(path)} is no draw: an object with {", ".join(_KEYS)} is expected.')
    return facts


def _found(path: Path, videos: Any, rows: Sequence[Row], shots: int) -> list[Row]:
    """The videos of a file among those of the list, which may be called the same: each is taken once."""
    places: dict[tuple[str, int], list[int]] = defaultdict(list)
    for index in range(len(rows) - 1, -1, -1):
        places[rows[index].name, int(rows[index].label)].append(index)
    chosen, lost = [], []
    for video in videos if isinstance(videos, list) else [videos]:
        known = isinstance(video, list) and len(video) == 2 and isinstance(video[0], str) and isinstance(video[1], int)
        place = places.get(tuple(video)) if known else None
        if place:
            chosen.append(place.pop())
        else:
            lost.append(video)
    counts: dict[int, int] = dict.fromkeys((int(row.label) for row in rows), 0)
    for index in chosen:
        counts[int(rows[index].label)] += 1
    wrong = [label for label, count in counts.items() if count != shots]
    if lost or wrong:
        what = f'{first_few(lost)} not in the list' if lost else f'not {shots} videos of label {first_few(wrong)}'
        raise UserError(f'draw_file {shown(path)} was changed since it was written: {what}. Remove it to draw anew.')
    return [rows[index] for index in sorted(chosen)]


def _digest(rows: Sequence[Row]) -> str:
    """What tells a list from others: names, labels and their order."""
    facts = hashlib.sha256()
    for row in rows:
        facts.update(f'{row.name}\0{row.label}\n'.encode(errors='surrogateescape'))
    return facts.hexdigest()[:16]
