"""Annotation lists and folders of videos as a user brings them, read without a config. Light: no MMAction2."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from textxfer_mm.errors import UserError, nearest, shown
from textxfer_mm.inputs import VIDEO_SUFFIXES
from textxfer_mm.text_files import read_text, split_lines

#: A path and the numbers behind it, also in a line from a spreadsheet.
_LINE = re.compile(r'(.*?)((?:[\s,;]+-?\d+)*)', flags=re.S)
_NUMBER = re.compile(r'-?\d+')


@dataclass(frozen=True, slots=True)
class ListLine:
    """A line of a list.

    Attributes:
        number: Which line it is, from 1 on.
        text: The line as it is written.
        path: Its video or folder of frames.
        numbers: The whole numbers behind the path.
    """

    number: int
    text: str
    path: str
    numbers: tuple[int, ...]


def read_list_lines(path: str | Path) -> list[ListLine]:
    """Read the lines of a list that are not empty.

    Raises:
        UserError: There is no such file, it is no text, or it is empty.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        if path.exists():
            what = 'a folder; an annotation list is expected' if path.is_dir() else 'neither a file nor a folder'
            raise UserError(f'{shown(path)} is {what}.')
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UserError(f'{shown(path)} does not exist.{nearest(path.name, siblings)}')
    lines = []
    for number, text in enumerate(split_lines(read_text(path)), 1):
        if text.strip():
            name, numbers = _LINE.fullmatch(text.strip()).groups()
            lines.append(ListLine(number, text, name, tuple(map(int, _NUMBER.findall(numbers)))))
    if not lines:
        raise UserError(f'The list {shown(path)} is empty.')
    return lines


def labels_of_lines(
    lines: Sequence[ListLine], source: str | Path, *, multi_label: bool = False
) -> list[tuple[int, ...]]:
    """The labels of each line; lists of folders of frames have a number of frames, or offset and number, before them.

    Args:
        lines: Lines of a list.
        source: The list, for messages.
        multi_label: Whether all numbers are labels. Otherwise they are where lines have one number or not all as many;
            of two or three in each line, the last is the label, as in stock lists of frames.

    Raises:
        UserError: A line has none.
    """
    for line in lines:
        if not line.numbers:
            raise UserError(f'{shown(source)}, line {line.number} ({shown(line.text)!r}) has no label.')
    widths = {len(line.numbers) for line in lines}
    if not multi_label and len(widths) == 1 and widths <= {1, 2, 3}:
        return [line.numbers[-1:] for line in lines]
    return [tuple(dict.fromkeys(line.numbers)) for line in lines]


def videos_below(folder: str | Path) -> list[str]:
    """The videos of a folder and its subfolders, sorted; hidden files are none.

    Raises:
        PermissionError: A folder may not be listed.
    """
    return sorted(
        os.path.join(parent, name)
        for parent, _, names in os.walk(folder, onerror=_raise)
        for name in names
        if name.lower().endswith(VIDEO_SUFFIXES) and not name.startswith('.')
    )


def _raise(error: OSError) -> None:
    raise error
