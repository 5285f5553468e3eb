"""The one exception for a user's mistake, and the helpers that word its message."""

import difflib
import re
from collections.abc import Iterable

#: Control characters (escape sequences of terminals begin with one), what turns the direction of writing around or has
#: no width, line separators, and halves of characters, which stand for bytes of a file name that are no UTF-8. The
#: joiners of Persian and of emoji stay.
_UNSHOWABLE = re.compile(
    r'[\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff]'
)
_UNSHOWABLE_IN_LINES = re.compile(r'(?!\n)' + _UNSHOWABLE.pattern)
#: Letters of one name in a message, and of a whole message.
_NAME_LIMIT, _MESSAGE_LIMIT = 200, 4000


class UserError(ValueError):
    """A mistake in what the user gave.

    The message is one line (or a short list) that names the input, says what was expected and what to do. The command
    line prints it without a traceback; the library raises it as it is.
    """


class NotAtHandError(UserError):
    """Something the user named is not on this machine: a file, a package, weights behind an unreachable hub.

    A checkpoint may know what is missing, so the heads go on where they meet this error while they are built.
    """


class UnwritableError(UserError, OSError):
    """A file that cannot be written: the disk is full, read-only or failing. A cache goes on without it."""


def shown(text: object, limit: int | None = _NAME_LIMIT) -> str:
    r"""Return a name, label or path as it is shown: control characters escaped (``\x1b``), a long one cut.

    Args:
        text: What a user wrote, or what lies in a file; anything else is shown as ``str`` has it.
        limit: The most letters; None keeps all.
    """
    return _cut(_UNSHOWABLE.sub(_escaped, _head(str(text), limit)), str(text), limit)


def shown_message(error: object) -> str:
    """Return a whole message for a terminal: like :func:`shown`, with its line breaks and a larger limit."""
    text = str(error)
    return _cut(_UNSHOWABLE_IN_LINES.sub(_escaped, _head(text, _MESSAGE_LIMIT)), text, _MESSAGE_LIMIT)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode('unicode_escape').decode('ascii')


def _head(text: str, limit: int | None) -> str:
    return text if limit is None else text[:limit]


def _cut(head: str, text: str, limit: int | None) -> str:
    return head if limit is None or len(text) <= limit else f'{head}... ({len(text):,} letters)'


def nearest(given: str, choices: Iterable[str], limit: int = 3) -> str:
    """Return ``' Did you mean: a, b?'`` for the closest names, or a short list of all choices when none is close."""
    names = sorted({str(choice) for choice in choices})
    return similar(given, names, limit) or (f' Known: {first_few(names, 12)}.' if names else '')


def similar(given: str, choices: Iterable[str], limit: int = 3) -> str:
    """Return ``' Did you mean: a, b?'`` for the closest names, or nothing when none is close."""
    close = closest(given, choices, limit)
    return f' Did you mean: {", ".join(map(shown, close))}?' if close else ''


def closest(given: str, choices: Iterable[str], limit: int = 3, likeness: float = 0.6) -> list[str]:
    """Return the choices that are spelled most like what was given, best first; none may be like it.

    Args:
        given: What was written.
        choices: What could have been meant.
        limit: The most choices to return.
        likeness: The least share of letters in common, from 0 to 1.
    """
    lowered = {str(choice).lower(): str(choice) for choice in choices}
    word = str(given)[:_NAME_LIMIT].lower()  # comparing takes the square of the length
    return [lowered[m] for m in difflib.get_close_matches(word, list(lowered), n=limit, cutoff=likeness)]


def first_few(names: Iterable[object], n: int = 3, separator: str = ', ') -> str:
    """Return ``'a, b, c, ... (7 in all)'`` as :func:`shown`, without the number where there are no more than ``n``."""
    words = list(names)
    few = [shown(name) for name in words[:n]]
    return separator.join([*few, f'... ({len(words)} in all)'] if len(words) > n else few)


def first_line(error: BaseException, limit: int = 200) -> str:
    """Return the first line of an error's message, cut to ``limit`` letters; its type where it has no message."""
    return shown((str(error).strip().splitlines() or [type(error).__name__])[0][:limit], None)
