"""Lists for training, validation and testing: from folders of classes, or from one list."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from textxfer_mm.apis.class_videos import ClassedVideos, videos_of_classes
from textxfer_mm.apis.data_split import describe_missing, draw_sides, groups_of, missing_on, shares_of
from textxfer_mm.apis.video_lists import labels_of_lines, read_list_lines
from textxfer_mm.errors import UserError, shown
from textxfer_mm.files import require_writable_file, write_text

CLASS_FILE = 'classes.txt'


@dataclass
class WrittenLists:
    """Lists that were written.

    Attributes:
        files: The list of each side.
        counts: Number of videos of each side.
        class_names: Their classes, in the order of the labels; None where names are not known.
        delimiter: What divides path and label.
        remarks: What to know of them, a line each.
    """

    files: dict[str, Path]
    counts: dict[str, int]
    class_names: tuple[str, ...] | None = None
    delimiter: str = ' '
    remarks: list[str] = field(default_factory=list)


def lists_from_folder(
    folder: str | Path,
    out: str | Path | None = None,
    *,
    val: float = 0.2,
    test: float = 0.0,
    groups: str | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> WrittenLists:
    """Make lists and a file of class names from a folder that holds one folder for each class.

    Labels follow the sorted names of the folders. Underscores become spaces in the class names, as their wording is
    what the text encoder reads. A folder that holds ``train`` and ``val`` (or ``test``) with the classes in them is
    taken as it is split.

    Args:
        folder: The folder; videos may lie in subfolders of its classes.
        out: Where the lists go; None takes the folder itself.
        val: Share of the videos of each class for validation.
        test: Share of the videos of each class for testing.
        groups: What tells videos that stay on one side, see :func:`~textxfer_mm.apis.data_split.groups_of`; it looks at
            the path from ``folder`` on.
        seed: Seed of the draw.
        overwrite: Whether files that are there may be replaced.

    Returns:
        ``train.txt``, ``val.txt`` and ``test.txt`` of those sides that there are, beside ``classes.txt``.

    Raises:
        UserError: There are no classes or a class without videos, videos that cannot be listed, two classes of one
            name, files that are there already, or an argument is out of range.
    """
    shares = shares_of(val, test)
    found = videos_of_classes(folder)
    folder, names, paths, split = Path(folder).expanduser(), found.class_names, found.paths, bool(found.sides)
    if split and groups is not None:
        raise UserError(f'{shown(folder)} is split already ({_few_sides(found)}), so groups cannot be drawn.')
    labels = [(label,) for label in found.labels]
    sides = list(found.sides) or draw_sides(labels, groups_of(paths, groups), shares, seed)
    delimiter = _delimiter(paths)
    lines = [f'{path}{delimiter}{label}' for path, (label,) in zip(paths, labels, strict=True)]
    wanted = [side for side in ('train', 'val', 'test') if side in (set(sides) if split else shares)]
    written = _write(
        lines,
        sides,
        wanted,
        Path(out).expanduser() if out else folder,
        overwrite,
        {CLASS_FILE: '\n'.join(names) + '\n'},
    )
    written.class_names, written.delimiter = names, delimiter
    written.remarks = describe_missing(missing_on(labels, sides, wanted), names)
    return written


def split_list(
    source: str | Path,
    out: str | Path | None = None,
    *,
    val: float = 0.2,
    test: float = 0.0,
    groups: str | None = None,
    seed: int = 0,
    multi_label: bool = False,
    overwrite: bool = False,
) -> WrittenLists:
    """Split an annotation list, class by class; its lines go into the new lists as they are.

    Lines of one path, such as clips of one folder of frames, stay on one side.

    Args:
        source: The list.
        out: Where the lists go; None takes its folder.
        val: See :func:`lists_from_folder`, as of ``test``, ``groups``, ``seed`` and ``overwrite``.
        test: Share for testing.
        groups: What tells videos that stay on one side; it looks at the paths of the list.
        seed: Seed of the draw.
        multi_label: Whether all numbers of a line are labels, see
            :func:`~textxfer_mm.apis.video_lists.labels_of_lines`.
        overwrite: Whether files that are there may be replaced, the list itself never.

    Raises:
        UserError: The list cannot be read, has lines without a label or a video twice, or see
            :func:`lists_from_folder`.
    """
    source = Path(source).expanduser()
    shares = shares_of(val, test)
    lines = read_list_lines(source)
    labels = labels_of_lines(lines, source, multi_label=multi_label)
    sides = draw_sides(labels, groups_of([line.path for line in lines], groups), shares, seed)
    folder = Path(out).expanduser() if out else source.parent
    for side in shares:
        target = folder / f'{side}.txt'
        if target.exists() and target.samefile(source):
            raise UserError(f'{shown(target)} is the list that is split: give another folder to write to.')
    written = _write([line.text for line in lines], sides, list(shares), folder, overwrite, {})
    written.remarks = describe_missing(missing_on(labels, sides, list(shares)), None)
    return written


def _few_sides(found: ClassedVideos) -> str:
    return ', '.join(dict.fromkeys(found.sides))


def _delimiter(paths: Sequence[str]) -> str:
    """What divides path and label: a space, or a tab where paths hold spaces."""
    for path in paths:
        if any(letter in path for letter in '\n\r\t') or path != path.strip():
            raise UserError(f'The path {shown(path)!r} holds a tab or a line end, which a list cannot. Rename it.')
        if not path.isprintable() and _is_not_utf8(path):
            raise UserError(f'The path {shown(path)!r} is not in UTF-8, as a list is. Rename it.')
    return '\t' if any(' ' in path for path in paths) else ' '


def _is_not_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return True
    return False


def _write(
    lines: Sequence[str],
    sides: Sequence[str],
    wanted: Sequence[str],
    folder: Path,
    overwrite: bool,
    others: Mapping[str, str],
) -> WrittenLists:
    """Write the list of each side and other files, or nothing where one of them cannot be."""
    texts = {
        f'{name}.txt': ''.join(f'{line}\n' for line, side in zip(lines, sides, strict=True) if side == name)
        for name in wanted
    }
    texts |= others
    there = [name for name in texts if (folder / name).exists()]
    if there and not overwrite:
        raise UserError(
            f'{shown(folder)} has {", ".join(there)} already. Give another folder to write to (--out), or replace them '
            '(--overwrite).'
        )
    for name in texts:
        require_writable_file(folder / name, 'the list')
    for name, text in texts.items():
        write_text(folder / name, text)
    return WrittenLists({side: folder / f'{side}.txt' for side in wanted}, {s: sides.count(s) for s in wanted})
