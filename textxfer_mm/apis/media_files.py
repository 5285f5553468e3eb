"""The videos and images that somebody names: files, folders with subfolders, globs and lists. Light: no torch here."""

import glob
import os
import posixpath
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from textxfer_mm.errors import UserError, first_few, shown, similar
from textxfer_mm.inputs import IMAGE_SUFFIXES, VIDEO_SUFFIXES, is_image
from textxfer_mm.text_files import read_text, split_lines
from textxfer_mm.video.unreadable import TEXT, UnreadableVideoError, describe, read_head

#: What lists of paths are called.
LIST_SUFFIX = '.txt'
_MEDIA = (*VIDEO_SUFFIXES, *IMAGE_SUFFIXES)


@dataclass
class FoundMedia:
    """Videos and images, each once, in the order in which they were named.

    Attributes:
        files: Their paths.
        below: For each the path below the folder that was named, or its name: what to call it in short. Where several
            things were named, a path below a folder or a pattern begins with the name of that folder. What more than
            one would be called goes by its whole path.
        notes: What was passed over and why, one sentence each.
    """

    files: list[Path] = field(default_factory=list)
    below: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.files)

    @property
    def noun(self) -> str:
        """What to call them: videos, images, or files where there are both."""
        images = sum(map(is_image, self.files))
        return 'files' if 0 < images < len(self) else 'images' if images else 'videos'


def find_media(paths: str | Path | Sequence[str | Path]) -> FoundMedia:
    """Find the videos and images that are meant by one path or several.

    A path is that of a video, an image, a folder, whose subfolders are searched too, a list (``.txt``: a path a line,
    relative to the list's folder; annotation lists with labels behind the paths as well), or a pattern such as
    ``videos/**/*.mp4``. Folders and patterns give their files sorted by name; hidden ones (``._a.mp4``) are left out.

    Args:
        paths: One path, or several.

    Raises:
        UserError: There is nothing at a path, nothing to be recognised behind it, or it is a text file.
        PermissionError: A folder may not be listed.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    search = _Search(several=len(given) > 1)
    for path in given:
        search.add(str(path))
    if len(given) == 1 and search.is_one_file and not str(given[0]).lower().endswith('.ppm'):  # which may be text
        _refuse_text(str(search.found.files[0]))
    found = search.found
    times = Counter(found.below)
    found.below = [str(file) if times[name] > 1 else name for file, name in zip(found.files, found.below, strict=True)]
    if search.repeated:
        found.notes.append(f'{search.repeated:,} files were named more than once; each is taken once.')
    return found


class _Search:
    """Goes through what was named, one path after the other.

    Args:
        several: Whether more than one path is named.
    """

    def __init__(self, several: bool) -> None:
        self.found = FoundMedia()
        self._several = several
        self.repeated = 0
        self.is_one_file = False
        self._seen: set[str] = set()

    def add(self, path: str) -> None:
        """Add what one path stands for."""
        expanded = os.path.expanduser(path)
        if os.path.isdir(expanded):
            self._add_folder(expanded, path)
        elif not os.path.exists(expanded):
            self._add_pattern(expanded, path)
        elif not os.path.isfile(expanded):
            raise UserError(f'{shown(path)} is neither a file nor a folder. Give videos, images, folders or lists.')
        elif expanded.lower().endswith(LIST_SUFFIX):
            self._add_list(expanded)
        else:
            if not expanded.lower().endswith(_MEDIA):
                _refuse_text(expanded)
            self.is_one_file = True
            self._take(expanded, os.path.basename(expanded))

    def _take(self, file: str, below: str) -> None:
        key = os.path.normpath(file)
        if key in self._seen:
            self.repeated += 1
            return
        self._seen.add(key)
        self.found.files.append(Path(file))
        self.found.below.append(below)

    def _in_short(self, below: str, folder: str) -> str:
        """What to call a file below a folder; the folder's own name tells several apart."""
        return os.path.join(os.path.basename(os.path.abspath(folder)), below) if self._several and folder else below

    def _add_folder(self, folder: str, given: str) -> None:
        others: list[str] = []
        hidden = taken = 0
        for file in _files_below(folder):
            below = os.path.relpath(file, folder)
            if any(part.startswith('.') for part in Path(below).parts):
                hidden += 1
            elif file.lower().endswith(_MEDIA):
                taken += 1
                self._take(file, self._in_short(below, folder))
            else:
                others.append(below)
        if not taken:
            raise UserError(
                f'The folder {shown(given)} holds no video and no image ({", ".join(_MEDIA)}), nor do its subfolders'
                + (f'; other files: {first_few(others)}.' if others else '.')
            )
        self._note(given, others, hidden)

    def _add_pattern(self, pattern: str, given: str) -> None:
        if not glob.has_magic(pattern):
            folder = os.path.dirname(pattern) or '.'
            beside = os.listdir(folder) if os.path.isdir(folder) else []
            media = [name for name in beside if name.lower().endswith((*_MEDIA, LIST_SUFFIX)) and name[0] != '.']
            raise UserError(
                f'{shown(given)} does not exist.{similar(os.path.basename(pattern), media)} Give videos, images, '
                'folders, patterns or lists of them.'
            )
        matches = sorted(path for path in glob.iglob(pattern, recursive=True) if not os.path.isdir(path))
        media = [path for path in matches if path.lower().endswith(_MEDIA)]
        others = [path for path in matches if not path.lower().endswith(_MEDIA)]
        if not media:
            what = f'; other files: {first_few(others)}' if others else ', and no other file'
            raise UserError(f'The pattern {shown(given)} matches no video and no image{what}.')
        root = os.path.dirname(pattern[: min(pattern.find(sign) for sign in '*?[' if sign in pattern)])
        for path in media:
            self._take(path, self._in_short(os.path.relpath(path, root or '.'), root))
        self._note(given, others, 0)

    def _add_list(self, path: str) -> None:
        lines = [line.strip() for line in split_lines(read_text(path))]
        root, missing = os.path.dirname(path), 0
        for line in filter(None, lines):
            file = _file_of_line(line, root)
            if not file.lower().endswith(_MEDIA):
                raise UserError(
                    f'The list {shown(path)} names {shown(line)}, which is no video and no image by its name. A list '
                    'has the path of one in each line, relative to its folder; class names go to --labels-file.'
                )
            missing += not os.path.exists(file)
            self._take(file, posixpath.normpath(os.path.relpath(file, root or '.')))
        if not any(lines):
            raise UserError(f'The list {shown(path)} is empty.')
        if missing and missing == sum(map(bool, lines)):
            first = _file_of_line(next(filter(None, lines)), root)
            raise UserError(
                f'None of the {missing:,} files of the list {shown(path)} is there, the first one {shown(first)}: '
                'paths begin in the folder of the list.'
            )

    def _note(self, given: str, others: Sequence[str], hidden: int) -> None:
        """Say what of a folder or a pattern was passed over."""
        if others:
            verb = 'file is neither a video nor an image' if len(others) == 1 else 'files are neither videos nor images'
            self.found.notes.append(f'{shown(given)}: {len(others):,} {verb}: {first_few(others)}.')
        if hidden:
            self.found.notes.append(
                f'{shown(given)}: {hidden:,} hidden file{"s were" if hidden > 1 else " was"} left out.'
            )


def _files_below(folder: str) -> Iterable[str]:
    """The files of a folder and its subfolders, sorted; links to folders are followed, each folder once."""
    seen: set[tuple[int, int]] = set()
    for parent, folders, names in os.walk(folder, onerror=_raise, followlinks=True):
        status = os.stat(parent)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders.sort()
        yield from (os.path.join(parent, name) for name in sorted(names))


def _file_of_line(line: str, root: str) -> str:
    """The path of a line of a list; labels behind it, as in annotation lists, are left."""
    file = os.path.join(root, os.path.expanduser(line))
    if not file.lower().endswith(_MEDIA):
        words = line.split()
        while len(words) > 1 and words[-1].lstrip('-').isdecimal():
            words.pop()
        shorter = line[: line.rfind(words[-1]) + len(words[-1])]
        return os.path.join(root, os.path.expanduser(shorter))
    return file


def _refuse_text(file: str) -> None:
    """Refuse a file that reads as text.

    Raises:
        UserError: It does.
    """
    try:
        head, size = read_head(file)
    except UnreadableVideoError:
        return  # what it is, and that it cannot be read, its row will say
    if describe(head, size).startswith(TEXT):
        raise UserError(
            f'{shown(file)} is a text file, neither a video nor an image. A list of their paths ends in {LIST_SUFFIX}; '
            'class names go to --labels-file.'
        )


def _raise(error: OSError) -> None:
    raise error
