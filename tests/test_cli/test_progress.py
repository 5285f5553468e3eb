"""Progress of commands: lines where no terminal shows bars, bars where one does."""

import io

import pytest
from rich.console import Console

from textxfer_mm.cli import progress as room
from textxfer_mm.cli.progress import progress_on


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(room, 'time', clock)
    return clock


def told(steps, clock):
    """The lines of a file for calls ``(seconds, title, done, total)``."""
    out = io.StringIO()
    with progress_on(Console(file=out, width=20)) as tell:
        for seconds, *call in steps:
            clock.now = 1000.0 + seconds
            tell(*call)
    return out.getvalue().splitlines()


def test_a_file_hears_of_the_beginning_and_of_the_time_left_every_half_minute(clock):
    steps = [(0, 'Encoding val.txt', 0, 100), (10, 'Encoding val.txt', 10, 100), (30, 'Encoding val.txt', 25, 100)]
    steps += [(59, 'Encoding val.txt', 60, 100), (61, 'Encoding val.txt', 61, 100), (90, 'Encoding val.txt', 100, 100)]
    assert told(steps, clock) == [
        'Encoding val.txt',
        'Encoding val.txt: 25 of 100, 50.0 a minute, 2 min left',
        'Encoding val.txt: 61 of 100, 1.0 a second, 39 s left',
    ]


def test_what_was_done_before_is_not_in_the_rate(clock):
    steps = [(0, 'Predicting', 9_000, 10_000), (50, 'Predicting', 9_005, 10_000)]
    assert told(steps, clock) == ['Predicting', 'Predicting: 9,005 of 10,000, 6.0 a minute, 2 h 46 min left']


def test_what_is_done_at_once_says_nothing(clock):
    assert told([(0, 'Embedding', 21, 21), (0, 'Embedding', 21, 21)], clock) == []


def test_two_pieces_of_work_have_clocks_of_their_own(clock):
    steps = [(0, 'a', 0, 2), (40, 'b', 0, 2), (41, 'b', 1, 2), (42, 'a', 1, 2)]
    assert told(steps, clock) == ['a', 'b', 'a: 1 of 2, 1.4 a minute, 42 s left']


def test_work_that_is_finished_may_come_again(clock):
    out = io.StringIO()
    with progress_on(Console(file=out)) as tell:
        for _ in range(2):
            tell('training', 0, 5)
            tell.finish('training')
    assert out.getvalue().splitlines() == ['training', 'training']


def test_a_terminal_has_bars():
    out = io.StringIO()
    with progress_on(Console(file=out, force_terminal=True, width=100, _environ={'TERM': 'xterm'})) as tell:
        tell('Encoding', 1, 4)
        tell('Encoding', 3, 4)
        tell('Reading', 1, 2)
        tell.finish('Reading')
        tell.finish('never begun')
    assert '3/4' in out.getvalue()
    assert '━' in out.getvalue()
