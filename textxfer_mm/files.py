"""Where the shipped configs are, and files that appear whole or not at all. Light: no torch here."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from textxfer_mm.errors import UserError


def config_dir() -> Path:
    """The folder of the shipped configs: inside an installed package, or beside a source checkout.

    Raises:
        UserError: The package was installed without its configs.
    """
    package = Path(__file__).parent
    for folder in (package / '.mim' / 'configs', package.parent / 'configs'):
        if (folder / '_base_').is_dir():
            return folder
    raise UserError('The configs were not installed with the package. Reinstall it with `pip install textxfer_mm`.')


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a path to write to; what was written takes the place of ``path`` at the end, in one step.

    The given path is beside ``path``, begins with a dot, has the same suffix and is no other writer's. The folder is
    made. After an exception the old file is still there and nothing else.
    """
    path = Path(path).expanduser()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'.{path.stem}.{uuid.uuid4().hex}{path.suffix}')
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 file in one piece; bytes of a file name that are no UTF-8 are written as JSON has them."""
    with replacing(path) as part:
        part.write_text(text, encoding='utf-8', errors='backslashreplace')


def require_writable_folder(path: str | Path, option: str) -> Path:
    """Make a folder and check that files can be written to it.

    Args:
        path: The folder.
        option: What the user gave it as, such as '--work-dir'.

    Raises:
        UserError: Something else is there, or the folder cannot be made or written to.
    """
    folder = Path(path).expanduser()
    probe = folder / f'.{uuid.uuid4().hex}'
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f'{option} {path} is no folder that can be written to: {error.strerror}.') from error
    return folder


def require_writable_file(path: str | Path, option: str) -> Path:
    """Check that a file can be written at ``path``; its folder is made.

    Raises:
        UserError: A folder or a device is there, or the folder of the file cannot be written to.
    """
    file = Path(path).expanduser()
    if file.is_dir():
        raise UserError(f'{option} {path} is a folder; give the path of a file.')
    if file.exists() and not file.is_file():  # a new file would take the place of /dev/null itself
        raise UserError(f'{option} {path} is a device or a pipe; give the path of a file.')
    require_writable_folder(file.parent, f'the folder of {option}')
    return file


def require_png(path: Path, option: str) -> None:
    """Check, before any work is done, that a figure can be written.

    Raises:
        UserError: The name does not end in .png, or the file cannot be written.
    """
    require_writable_file(path, option)
    if path.suffix.lower() != '.png':
        raise UserError(f'{option} {path}: figures are PNG files; give a name that ends in .png.')
