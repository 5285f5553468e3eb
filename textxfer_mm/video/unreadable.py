"""What a file is that gives no frames, in one line."""

from pathlib import Path

#: How files begin that are taken for videos by their name.
_BEGINNINGS = (
    ((b'\x89PNG', b'\xff\xd8\xff', b'BM', b'II*\0', b'MM\0*'), 'an image, not a video'),
    ((b'%PDF',), 'a PDF document, not a video'),
    ((b'PK\x03\x04', b'\x1f\x8b', b'Rar!', b'7z\xbc\xaf', b'\xfd7zXZ'), 'an archive, not a video'),
    ((b'#EXTM3U', b'ffconcat'), 'a playlist, not a video'),
    ((b'version https://git-lfs',), 'a pointer of Git LFS: the video itself was not fetched'),
)

#: What :func:`describe` begins with where a file reads as text.
TEXT = 'a text file'


class UnreadableVideoError(ValueError):
    """A file of which the frames asked for cannot be had; the message says why, without the name of the file."""


def describe(head: bytes, size: int) -> str:
    """Say what a file is that no demuxer could open.

    Args:
        head: Its first kilobytes.
        size: Its length in bytes.
    """
    if size == 0:
        return 'empty file'
    for beginnings, what in _BEGINNINGS:
        if head.startswith(beginnings):
            return what
    if b'<html' in head[:1024].lower() or b'<!doctype html' in head[:1024].lower():
        return 'a web page, not a video: its download failed'
    if not head.strip(b'\0'):
        return 'nothing but zeros at its beginning: its download or copy was not finished'
    if head.startswith(b'RIFF') and head[8:12] == b'WEBP':
        return 'an image, not a video'
    if b'ftyp' in head[4:12]:
        return 'truncated or damaged MP4: its index (moov) cannot be read'
    return f'{TEXT}, not a video' if _is_text(head) else 'no video of a known format, or its header is damaged'


def read_head(source: str | bytes) -> tuple[bytes, int]:
    """The first kilobytes and the length of a file, given by its path or its content.

    Raises:
        UnreadableVideoError: It is missing, no file, or may not be read.
    """
    if isinstance(source, bytes):
        return source[:4096], len(source)
    path = Path(source)
    try:
        if path.is_dir():
            raise UnreadableVideoError('a folder, not a video')
        if path.exists() and not path.is_file():  # reading a pipe would wait for a writer
            raise UnreadableVideoError('a device, pipe or socket, not a video')
        with path.open('rb') as stream:
            return stream.read(4096), path.stat().st_size
    except FileNotFoundError:
        raise UnreadableVideoError('missing file') from None
    except OSError as error:
        raise UnreadableVideoError(f'the file cannot be read: {error.strerror}') from error


def _is_text(head: bytes) -> bool:
    """Whether it reads as text: UTF-8 with hardly a control character, or UTF-16 with its mark."""
    if head.startswith((b'\xff\xfe', b'\xfe\xff')):
        return True
    text = head.decode('utf-8', errors='ignore')
    odd = sum(1 for letter in text if not letter.isprintable() and letter not in '\a\b\t\n\f\r\x1b')
    return len(text) >= 0.9 * len(head) and odd <= 0.01 * len(text)
