"""Text that users bring, such as lists from spreadsheets: read as what it is, or refused in one line."""

import codecs
import re
from collections import Counter
from pathlib import Path
from typing import Any

from textxfer_mm.errors import UserError, shown

#: Marks at the beginning of a file that tell its encoding; that of UTF-32 begins like that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, 'utf-8'),
    (codecs.BOM_UTF32_LE, 'utf-32-le'),
    (codecs.BOM_UTF32_BE, 'utf-32-be'),
    (codecs.BOM_UTF16_LE, 'utf-16-le'),
    (codecs.BOM_UTF16_BE, 'utf-16-be'),
)


def read_text(path: str | Path) -> str:
    """Return the text of a file; see :func:`decode_text`.

    Raises:
        UserError: It cannot be read, or it is no such text.
    """
    try:
        return decode_text(Path(path).read_bytes(), path)
    except OSError as error:
        raise UserError(f'{shown(path)} cannot be read: {error.strerror}.') from error


def decode_text(content: bytes, source: str | Path) -> str:
    """Decode text in UTF-8, or in UTF-16 or UTF-32 with the mark that Windows and spreadsheets write.

    Other encodings (GBK, Shift JIS, Latin-1, ...) cannot be told from one another, so they are refused.

    Args:
        content: The bytes of the file.
        source: Its path, for messages.

    Raises:
        UserError: It is no such text.
    """
    mark, encoding = next(((mark, name) for mark, name in _MARKS if content.startswith(mark)), (b'', 'utf-8'))
    try:
        text = content[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        place = len(mark) + error.start
        line = content.count(b'\n', 0, place) + 1
        raise UserError(
            f'{shown(source)} is not a text file in UTF-8 (byte {place}, line {line}). Save it as UTF-8; what was '
            'written in GBK becomes it by `iconv -f GBK -t UTF-8 OLD > NEW`.'
        ) from error
    if '\0' in text:
        raise UserError(
            f'{shown(source)} is not a text file in UTF-8 (it holds zero bytes). Save it as UTF-8, or as UTF-16 with '
            'its mark (BOM).'
        )
    return text


def split_lines(text: str) -> list[str]:
    """Split text at the line ends of Unix, Windows and old Macs, and nowhere else; marks of files put together go.

    ``str.splitlines`` would also split at characters that may stand inside a name. Empty lines at the end are dropped.
    """
    lines = re.split(r'\r\n|\n|\r', text)
    while lines and not lines[-1].strip():
        lines.pop()
    return [line.removeprefix('\ufeff') for line in lines]


def distinct_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of JSON that has these keys and values: the ``object_pairs_hook`` of ``json.loads``.

    Raises:
        ValueError: A key occurs twice, of which JSON would keep the last one without a word.
    """
    made = dict(pairs)
    if len(made) < len(pairs):
        ((key, times),) = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f'the key {shown(key)!r} occurs {times} times in one object')
    return made
