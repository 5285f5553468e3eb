"""How the tools run what a config asks for, with few lines on the terminal or with all of the log (``terminal``)."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from textxfer_mm.engine.launch import is_first_rank
from textxfer_mm.engine.resuming import newest_checkpoint
from textxfer_mm.engine.runners import build_runner
from textxfer_mm.engine.terminal.hook import TerminalHook
from textxfer_mm.engine.terminal.screen import Screen, speak_on
from textxfer_mm.engine.terminal.told import near
from textxfer_mm.interrupts import Terminated


@contextmanager
def showing(cfg: Config) -> Iterator[Callable[[], Runner]]:
    """Give what builds the runner of a config, and care for the terminal while it runs.

    The config says what the terminal shows: ``terminal='summary'`` a few lines before the run, one an epoch and a
    summary, besides all warnings; ``terminal='log'`` whatever MMEngine logs. Of several processes the first speaks.
    """
    if cfg.get('terminal', 'summary') == 'log':
        yield partial(build_runner, cfg)
        return
    screen = Screen() if is_first_rank() else None

    def build() -> Runner:
        runner = build_runner(cfg, listen=None if screen is None else partial(speak_on, screen=screen))
        runner.register_hook(TerminalHook(screen))
        return runner

    logger = MMLogger.get_current_instance()  # of what is said before the run has its own
    before = logger.handlers[:]
    if screen is not None:
        speak_on(logger, screen)
    try:
        yield build
    finally:
        logger.handlers[:] = before
        if screen is not None:
            screen.hide()


@contextmanager
def telling_what_is_kept(cfg: Config) -> Iterator[None]:
    """Let whoever interrupts the training of a config be told which checkpoint was kept."""
    begun = time.time()
    try:
        yield
    except (KeyboardInterrupt, Terminated) as stop:
        newest = newest_checkpoint(cfg)
        if newest is not None and newest.stat().st_mtime >= begun:
            stop.args = (f'{near(newest)} was kept; --resume goes on from it',)
        elif newest is not None and cfg.get('resume'):
            stop.args = (f'no other checkpoint was saved; --resume goes on from {near(newest)} again',)
        else:
            stop.args = ('no checkpoint was saved yet',)
        raise
