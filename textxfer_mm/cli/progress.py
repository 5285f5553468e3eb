"""How far a command is: bars on a terminal, and a line from time to time where a file or another program reads."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from textxfer_mm.errors import shown
from textxfer_mm.pace import duration_words, rate_words

#: Seconds between two lines of the same work where there is no terminal.
EVERY = 30.0


class RateColumn(ProgressColumn):
    """How many are done in a second."""

    def render(self, task: Task) -> Text:
        """The rate of a task."""
        return Text(rate_words(task.finished_speed or task.speed or 0.0))


class _Bars:
    """A bar for each piece of work."""

    def __init__(self, bars: Progress) -> None:
        self._bars, self._tasks = bars, {}

    def __call__(self, title: str, done: int, total: int) -> None:
        """Show how much of the work is done; the first call tells what was done before."""
        if title not in self._tasks:
            self._tasks[title] = self._bars.add_task(shown(title), total=total, completed=done)
        self._bars.update(self._tasks[title], completed=done, total=total)

    def finish(self, title: str) -> None:
        """Take the bar of this work away."""
        if title in self._tasks:
            self._bars.remove_task(self._tasks.pop(title))


class _Work:
    """When work began, how much was done then, and when something was last said of it."""

    def __init__(self, now: float, done: int) -> None:
        self.begun = self.told = now
        self.before = done


class _Lines:
    """A line when work begins, and from time to time; what the command says at the end needs none."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._works: dict[str, _Work] = {}

    def __call__(self, title: str, done: int, total: int) -> None:
        """Print that work begins, or how much of it is done unless that was said just before."""
        now = time.monotonic()
        if title not in self._works:
            self._works[title] = _Work(now, done)
            if done < total:
                self._say(title)
            return
        work = self._works[title]
        if now - work.told >= EVERY and work.before < done < total:
            work.told = now
            rate = (done - work.before) / (now - work.begun)
            self._say(
                f'{title}: {done:,} of {total:,}, {rate_words(rate)}, {duration_words((total - done) / rate)} left'
            )

    def finish(self, title: str) -> None:
        """Forget this work: the same title may come again."""
        self._works.pop(title, None)

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
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), RateColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        yield _Bars(bars)
