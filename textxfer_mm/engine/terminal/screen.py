"""Where a run speaks to whoever started it: lines, and a bar where a terminal can show one."""

import logging
import time

from mmengine.logging import MMLogger
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from textxfer_mm.errors import shown, shown_message

#: How warnings end that MMEngine gives for each frozen weight, where a config has ``paramwise_cfg``: nothing is wrong.
_ROUTINE = ('is skipped since its requires_grad=False',)
#: Seconds between two pictures of the bar.
_REFRESH = 0.2


class Screen:
    """Lines and a bar below them.

    The bar has no thread of its own, which data workers that are forked could not have: whoever works moves it on.
    """

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._bars: Progress | None = None
        self._title, self._drawn = '', 0.0

    @property
    def has_bars(self) -> bool:
        """Whether a terminal shows the bar; elsewhere there are lines alone."""
        return self._console.is_interactive

    def say(self, line: str, style: str = '') -> None:
        """Print a line above the bar."""
        self._console.print(Text(shown_message(line), style=style), soft_wrap=True)

    def show(self, title: str, done: int, total: int, note: str = '') -> None:
        """Move the bar on, or begin another one under another title; without a terminal nothing happens."""
        if not self.has_bars:
            return
        now = time.monotonic()
        if self._bars is None or title != self._title:
            self.hide()
            texts = [TextColumn(text, markup=False) for text in ('{task.description}', '{task.fields[note]}')]
            columns = (texts[0], BarColumn(), MofNCompleteColumn(), texts[1])
            self._bars = Progress(*columns, console=self._console, transient=True, auto_refresh=False)
            self._bars.add_task(shown(title), total=total, note='')
            self._bars.start()
            self._title, self._drawn = title, 0.0
        if now - self._drawn >= _REFRESH or done >= total:
            self._drawn = now
            self._bars.update(self._bars.task_ids[0], completed=done, note=shown(note))
            self._bars.refresh()

    def hide(self) -> None:
        """Take the bar away."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None


class _OnScreen(logging.Handler):
    """Shows warnings, and what is marked as meant for a person (``log_bridge.TO_TERMINAL``)."""

    def __init__(self, screen: Screen, level: int) -> None:
        super().__init__(level)
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        """Show one record."""
        if record.getMessage().endswith(_ROUTINE):
            return
        is_warning = record.levelno >= logging.WARNING
        if is_warning or getattr(record, 'to_terminal', False):
            try:
                word = f'{record.levelname.lower()}: ' if is_warning else ''
                self._screen.say(f'{word}{record.getMessage()}', 'yellow' if is_warning else '')
            except Exception:  # as every handler does: logging must not end the run
                self.handleError(record)


def speak_on(logger: MMLogger, screen: Screen) -> MMLogger:
    """Let a logger show on the screen what a person must see; its files get all they got.

    Returns:
        The same logger, whose console handler has been replaced.
    """
    for number, handler in enumerate(logger.handlers):
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            ours = _OnScreen(screen, handler.level)
            ours.filters[:] = handler.filters
            logger.handlers[number] = ours
    return logger
