"""How far a long run is: a bar on a terminal, a line from time to time in a file."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

#: Seconds from line to line.
INTERVAL = 30.0


class RateColumn(ProgressColumn):
    """How many are done in a second."""

    def render(self, task: Task) -> Text:
        """The rate of a task."""
        return Text(_rate(task.finished_speed or task.speed or 0.0))


@contextmanager
def telling(console: Console, title: str, noun: str, total: int, done: int = 0) -> Iterator[Callable[[], None]]:
    """Give a function to be called after each of what is to be done.

    Args:
        console: Where it is told.
        title: What is done, such as 'Predicting'.
        noun: What is counted, such as 'files'.
        total: How many there are.
        done: How many of them were done before.
    """
    if not console.is_terminal:
        yield _Lines(console, noun, total, done).step
        return
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), RateColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task('', total=total, completed=done)
        yield lambda: bars.advance(task)


class _Lines:
    """Tells by lines."""

    def __init__(self, console: Console, noun: str, total: int, done: int) -> None:
        self._console, self._noun, self._total, self._done = console, noun, total, done
        self._here, self._start = 0, time.monotonic()
        self._told = self._start

    def step(self) -> None:
        self._here += 1
        now = time.monotonic()
        if now - self._told < INTERVAL:
            return
        self._told = now
        rate, done = self._here / (now - self._start), self._done + self._here
        left = _duration((self._total - done) / rate)
        self._console.print(
            Text(f'{done:,} of {self._total:,} {self._noun}, {_rate(rate)}, {left} left'), soft_wrap=True
        )


def _rate(rate: float) -> str:
    """E.g. ``'12.3 a second'``, or ``'4.2 a minute'`` where that is slow."""
    return f'{rate:.1f} a second' if rate >= 1 or rate == 0 else f'{60 * rate:.1f} a minute'


def _duration(seconds: float) -> str:
    """E.g. ``'1 h 05 min'``, ``'12 min'`` or ``'40 s'``."""
    if seconds < 90:
        return f'{seconds:.0f} s'
    minutes = round(seconds / 60)
    return f'{minutes} min' if minutes < 90 else f'{minutes // 60} h {minutes % 60:02} min'
