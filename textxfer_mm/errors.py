"""The one exception for a user's mistake, and the helpers that word its message."""

import difflib
from collections.abc import Iterable


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


def nearest(given: str, choices: Iterable[str], limit: int = 3) -> str:
    """Return ``' Did you mean: a, b?'`` for the closest names, or a short list of all choices when none is close."""
    names = sorted({str(choice) for choice in choices})
    lowered = {name.lower(): name for name in names}
    close = [lowered[m] for m in difflib.get_close_matches(str(given).lower(), list(lowered), n=limit, cutoff=0.6)]
    if close:
        return f' Did you mean: {", ".join(close)}?'
    return f' Known: {first_few(names, 12)}.' if names else ''


def first_few(names: Iterable[object], n: int = 3, separator: str = ', ') -> str:
    """Return ``'a, b, c, ... (7 in all)'``, without the number where there are no more than ``n``."""
    words = [str(name) for name in names]
    return separator.join([*words[:n], f'... ({len(words)} in all)'] if len(words) > n else words)


def first_line(error: BaseException, limit: int = 200) -> str:
    """Return the first line of an error's message, cut to ``limit`` letters; its type where it has no message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:limit]
