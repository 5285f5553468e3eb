"""How far a command is: bars on a terminal, and a line from time to time where a file or another program reads."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from textxfer_mm.errors import shown

#: Seconds between two lines of the same work where there is no terminal.
EVERY = 30.0


class _Bars:
    """A bar for each piece of work."""

    def __init__(self, bars: Progress) -> None:
        self._bars, self._tasks = bars, {}

    def __call__(self, title: str, done: int, total: int) -> None:
        """Show how much of the work is done."""
        if title not in self._tasks:
            self._tasks[title] = self._bars.add_task(shown(title), total=total)
        self._bars.update(self._tasks[title], completed=done, total=total)

    def finish(self, title: str) -> None:
        """Take the bar of this work away."""
        if title in self._tasks:
            self._bars.remove_task(self._tasks.pop(title))


class _Lines:
    """A line when work begins, and from time to time; what the command says at the end needs none."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._begun: dict[str, float] = {}
        self._told: dict[str, float] = {}

    def __call__(self, title: str, done: int, total: int) -> None:
        """Print that work begins, or how much of it is done unless that was said just before."""
        now = time.monotonic()
        if title not in self._begun:
            self._begun[title] = self._told[title] = now
            if done < total:
                self._say(title)
        elif now - self._told[title] >= EVERY and 0 < done < total:
            self._told[title] = now
            seconds = now - self._begun[title]
            left = seconds / done * (total - done)
            self._say(f'{title}: {done} of {total}, {seconds:.0f} s, about {left:.0f} s left')

    def finish(self, title: str) -> None:
        """Forget this work: the same title may come again."""
        self._begun.pop(title, None)
        self._told.pop(title, None)

    def _say(self, words: str) -> None:
        self._console.print(Text(shown(words, None)), soft_wrap=True)


@contextmanager
def progress_on(console: Console) -> Iterator[_Bars | _Lines]:
    """Give what is told how far work is: called with a title, what is done and what is to be done in all.

    Args:
        console: Where it is shown; bars go away when the context ends, lines stay.
    """
    if not console.is_interactive:
        yield _Lines(console)
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(TextColumn('{task.description}'), *columns, console=console, transient=True) as bars:
        yield _Bars(bars)
