"""Where the shipped configs are, and files that appear whole or not at all. Light: no torch here."""

import errno
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from textxfer_mm.errors import UnwritableError, UserError, shown


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


#: What the system says where nothing more can be written: disk full, quota, file too large, read-only, device failing.
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
#: How torch.save and safetensors word it.
_UNWRITABLE_WORDS = re.compile(r'PytorchStreamWriter|unexpected pos|os error (?:28|122|27|30|5)\b')


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a path to write to; what was written takes the place of ``path`` at the end, in one step.

    The given path is beside ``path``, begins with a dot, has the same suffix and is no other writer's. The folder is
    made. What was written is on the disk before it takes the place, so that a loss of power cannot leave half a file.
    After an exception the old file is still there and nothing else.

    Raises:
        UnwritableError: The disk is full, or cannot be written to for another reason.
    """
    path = Path(path).expanduser()
    part = path.with_name(f'.{path.stem}.{uuid.uuid4().hex}{path.suffix}')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
        mode = part.stat().st_mode
        part.unlink()
        yield part
        part.chmod(mode)  # whoever wrote it may have kept it from others, as safetensors does
        _flush(part)
        os.replace(part, path)
        _flush_folder(path.parent)
    except Exception as error:
        reason = unwritable(error)
        if reason is None:
            raise
        kept = 'The file of that name is as it was.' if path.exists() else 'Nothing was left of it.'
        raise UnwritableError(f'{path} could not be written: {reason}. {kept}') from error
    finally:
        with suppress(OSError):  # where nothing could be written there is nothing
            part.unlink()


def unwritable(error: BaseException) -> str | None:
    """Say why nothing more can be written, if that is what an error is about; None for other errors."""
    if isinstance(error, OSError) and error.errno in _UNWRITABLE:
        return error.strerror
    if not isinstance(error, UserError) and _UNWRITABLE_WORDS.search(str(error)):
        cause = error.__cause__ or error.__context__  # torch.save hides what the system said behind its own words
        return (unwritable(cause) if cause is not None else None) or 'the disk is full or cannot be written to'
    return None


def leftovers(folder: str | Path, suffix: str) -> list[Path]:
    """What writers that were killed left in a folder: the files of :func:`replacing` with this suffix."""
    name = re.compile(rf'\..+\.[0-9a-f]{{32}}{re.escape(suffix)}')
    return sorted(path for path in Path(folder).glob(f'.*{suffix}') if name.fullmatch(path.name))


def _flush(path: Path) -> None:
    """Wait until a file is on the disk."""
    descriptor = os.open(path, os.O_RDWR)  # some systems flush only what is open for writing
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can do that."""
    with suppress(OSError):  # Windows opens no folders, and some network file systems do not flush them
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


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


def require_new_file(path: Path, overwrite: bool) -> None:
    """Refuse to replace a file unless that was asked for.

    Raises:
        UserError: It is there already.
    """
    if path.exists() and not overwrite:
        raise UserError(f'{shown(path)} is there already. Give another name, or --overwrite.')


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


def require_form(path: str | Path, option: str, *suffixes: str, what: str = '') -> Path:
    """Check that a file can be written at ``path``, and that its name says the form in which it will be.

    Args:
        path: The file.
        option: What the user gave it as.
        suffixes: The ends of names of this form, such as ``'.json'``.
        what: Put before what to do, such as ``'figures are PNG files; '``.

    Raises:
        UserError: The name ends otherwise, or see :func:`require_writable_file`.
    """
    file = Path(path).expanduser()
    is_one = file.is_file() or not file.exists()
    if is_one and file.suffix.lower() not in suffixes:  # before its folder is made
        raise UserError(f'{option} {path}: {what}give a name that ends in {" or ".join(suffixes)}.')
    return require_writable_file(path, option)


def require_png(path: Path, option: str) -> None:
    """Check, before any work is done, that a figure can be written.

    Raises:
        UserError: The name does not end in .png, or the file cannot be written.
    """
    require_form(path, option, '.png', what='figures are PNG files; ')
