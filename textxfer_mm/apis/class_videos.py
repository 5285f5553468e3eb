"""Videos that lie in one folder for each class."""

import os
from dataclasses import dataclass
from pathlib import Path

from textxfer_mm.apis.video_lists import videos_below
from textxfer_mm.errors import UserError, first_few, shown
from textxfer_mm.text.class_names import check_class_names

#: Folders that hold the classes of one side, and the side.
_SIDES = {
    **dict.fromkeys(('train', 'training'), 'train'),
    **dict.fromkeys(('val', 'valid', 'validation'), 'val'),
    **dict.fromkeys(('test', 'testing'), 'test'),
}


@dataclass(frozen=True)
class ClassedVideos:
    """The videos of class folders.

    Attributes:
        class_names: K names, in the order of the labels.
        paths: Paths of n videos, from the folder on.
        labels: Their n labels.
        sides: The side of each, where the folder is split already; otherwise none.
    """

    class_names: tuple[str, ...]
    paths: tuple[str, ...]
    labels: tuple[int, ...]
    sides: tuple[str, ...] = ()


def videos_of_classes(folder: str | Path) -> ClassedVideos:
    """Find the videos of a folder that holds one folder for each class, or sides of a split with these in them.

    Labels follow the sorted names of the folders; underscores become spaces in the class names. Videos may lie in
    subfolders.

    Raises:
        UserError: There are no classes or a class without videos, or two classes of one name.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        what = 'is no folder' if folder.exists() else 'does not exist'
        raise UserError(f'{shown(folder)} {what}: give a folder that holds one folder of videos for each class.')
    split = _split_folders(folder)
    found = [(_SIDES.get(part.lower(), ''), *entry) for part in split or [''] for entry in _classified(folder, part)]
    sides, folders, paths = zip(*found, strict=True)
    classes = sorted(set(folders))
    names = tuple(name.replace('_', ' ').strip() for name in classes)
    check_class_names(names)
    return ClassedVideos(names, paths, tuple(map(classes.index, folders)), sides if split else ())


def _subfolders(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith('.'))


def _split_folders(folder: Path) -> list[str]:
    """The folders of sides, where a folder is split already."""
    names = _subfolders(folder)
    split = [name for name in names if name.lower() in _SIDES]
    others = [name for name in names if name not in split]
    if others and len({_SIDES[name.lower()] for name in split}) > 1:
        raise UserError(
            f'{shown(folder)} holds {" and ".join(split)}, which are sides of a split, beside {first_few(others)}. '
            'Move them apart: all folders are classes, or all are sides.'
        )
    return [] if others else split


def _classified(folder: Path, part: str) -> list[tuple[str, str]]:
    """The class and the path, from the folder on, of each video in the class folders of a part of it."""
    place = folder / part
    stray = [path for path in videos_below(place) if Path(path).parent == place]
    if stray:
        raise UserError(
            f'{len(stray):,} videos lie in {shown(place)} itself, in the folder of no class: '
            f'{first_few(os.path.basename(path) for path in stray)}. Move them into one.'
        )
    names = _subfolders(place)
    if not names:
        raise UserError(f'{shown(place)} holds no folder: one for each class, with its videos, is expected.')
    found = {name: videos_below(place / name) for name in names}
    empty = [name for name in names if not found[name]]
    if empty:
        raise UserError(
            f'{len(empty)} of {len(names)} class folders of {shown(place)} hold no video: {first_few(empty)}. Remove '
            'them, or put videos into them.'
        )
    return [(name, Path(path).relative_to(folder).as_posix()) for name in names for path in found[name]]
