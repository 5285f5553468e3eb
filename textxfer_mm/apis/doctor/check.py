"""The outcome of one check."""

from dataclasses import asdict, dataclass
from typing import Literal

from textxfer_mm.errors import first_line


@dataclass(frozen=True)
class Check:
    """The outcome of one check: a ``note`` is worth knowing, a ``problem`` keeps something from working."""

    name: str
    status: Literal['ok', 'note', 'problem']
    found: str
    cure: str = ''

    def as_dict(self) -> dict[str, str]:
        """Return a dictionary for JSON."""
        return asdict(self)


def described(error: BaseException) -> str:
    """Return the type of an error and the first line of its message."""
    kind, line = type(error).__name__, first_line(error)
    return kind if line == kind else f'{kind}: {line}'
