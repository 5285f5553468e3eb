"""The videos and images that visitors may choose from: those in a folder, by the names they have there."""

from pathlib import Path

from textxfer_mm.apis.media_files import find_media
from textxfer_mm.errors import UserError, nearest, shown


class VideoFolder:
    """The videos and images of a folder and its subfolders.

    Hidden files and links that lead out of the folder are left out.

    Args:
        folder: The folder; None has no files.

    Attributes:
        names: Their paths below the folder, sorted.

    Raises:
        UserError: There is no such folder, or nothing in it.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self._files: dict[str, Path] = {}
        if folder is not None:
            root = Path(folder).expanduser()
            if not root.is_dir():
                siblings = [path.name for path in root.parent.iterdir()] if root.parent.is_dir() else []
                what = 'is a file' if root.exists() else 'does not exist'
                raise UserError(f'--videos {folder} {what}: give a folder of videos.{nearest(root.name, siblings)}')
            found = find_media(root)
            self._root = root.resolve()
            files = zip(found.below, found.files, strict=True)
            self._files = {below: file for below, file in files if self._is_inside(file)}
            if not self._files:
                raise UserError(f'--videos {folder} holds nothing but links that lead out of it.')
        self.names = tuple(sorted(self._files))

    def path(self, name: str) -> Path:
        """The file of a name.

        Raises:
            UserError: It is none of the names, or its file is gone.
        """
        file = self._files.get(name)
        if file is None:
            raise UserError(f'There is no video {shown(name)!r} to choose here.')
        if not file.is_file() or not self._is_inside(file):
            raise UserError(f'The video {shown(name)!r} is no longer there.')
        return file

    def _is_inside(self, file: Path) -> bool:
        return file.resolve().is_relative_to(self._root)
