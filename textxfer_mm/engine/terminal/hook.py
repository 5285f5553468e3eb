"""The hook through which a run tells how far it is."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from textxfer_mm.engine.terminal.confusion import ConfusionCounts
from textxfer_mm.engine.terminal.measures import (
    Indicator,
    is_by_epoch,
    note_validation,
    number_words,
    training_words,
    validations,
)
from textxfer_mm.engine.terminal.screen import Screen
from textxfer_mm.engine.terminal.summary import after_training
from textxfer_mm.engine.terminal.told import before_testing, before_training, resumed
from textxfer_mm.pace import duration_words

#: Seconds between two lines within an epoch where no terminal shows a bar, and the share of a run that they stand for.
EVERY, SHARE = 30.0, 0.01


class _Pace:
    """How fast work goes, and whether something should be said of it where no bar is seen."""

    def __init__(self, done: int, total: int) -> None:
        self.begun = self._told = time.monotonic()
        self._before = self._told_at = done
        self._total = total

    def left(self, done: int) -> str:
        """How long the rest takes, such as ``'12 min left'``; nothing before something is done, and at the end."""
        new = done - self._before
        if new <= 0 or done >= self._total:
            return ''
        seconds = (time.monotonic() - self.begun) / new * (self._total - done)
        return f'{duration_words(seconds)} left'

    def is_due(self, done: int) -> bool:
        """Whether to say something: first after half a minute, then after each hundredth of the run, if no sooner."""
        far = self._told_at == self._before or done - self._told_at >= SHARE * self._total
        return far and done < self._total and time.monotonic() - self._told >= EVERY

    def tell(self, done: int) -> None:
        """Something was said."""
        self._told, self._told_at = time.monotonic(), done


class TerminalHook(Hook):
    """Tells on a screen what is trained, how far it is, and what came of it; every process has this hook.

    Args:
        screen: Where the first process speaks; None in the others.
    """

    priority = 'LOWEST'  # after CheckpointHook, which knows the best

    def __init__(self, screen: Screen | None) -> None:
        self._screen, self._pace, self._line = screen, None, ''
        self._since = 0  # the iteration after which loss and accuracy were told
        self._confusion, self._best = ConfusionCounts(), None

    def before_run(self, runner: Runner) -> None:
        """Say what will be trained."""
        if self._screen and not isinstance(runner._train_loop, dict | None):
            for line in before_training(runner):
                self._screen.say(line)

    def before_train(self, runner: Runner) -> None:
        """Say where it goes on, and begin to count."""
        line = resumed(runner)
        if self._screen and line:
            self._screen.say(line)
        self._pace, self._since = _Pace(runner.iter, runner.max_iters), runner.iter

    def before_train_epoch(self, runner: Runner) -> None:
        """Say what came of the epoch before, unless its validation has."""
        self._flush(runner)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Mapping[str, Any] | None = None
    ) -> None:
        """Move the bar on, or say from time to time how far it is."""
        if self._screen is None:
            return
        done, left = runner.iter + 1, self._pace.left(runner.iter + 1)
        by_epoch = is_by_epoch(runner)
        title = f'epoch {runner.epoch + 1} of {runner.max_epochs}' if by_epoch else 'training'
        step, steps = (batch_idx + 1, len(runner.train_dataloader)) if by_epoch else (done, runner.max_iters)
        if self._screen.has_bars:
            self._screen.show(title, step, steps, f'{training_words(runner, 20, parts=False)}  {left}')
        elif self._pace.is_due(done):
            self._say(f'{title}, iteration {step} of {steps}', training_words(runner, done - self._since), left)
            self._pace.tell(done)

    def after_train_epoch(self, runner: Runner) -> None:
        """Keep what came of it for its line, which the validation may belong to."""
        if self._screen and is_by_epoch(runner):
            self._line = f'epoch {runner.epoch + 1} of {runner.max_epochs}  ' + training_words(
                runner, runner.iter - self._since
            )
            self._since = runner.iter

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence[Any] | None = None
    ) -> None:
        """Count who is taken for whom, and move the bar on."""
        self._confusion.add(outputs)
        if self._screen:
            self._screen.show('validation', batch_idx + 1, len(runner.val_dataloader))

    def after_val_epoch(self, runner: Runner, metrics: Mapping[str, float] | None = None) -> None:
        """Say what it gave, at the end of the epoch's line."""
        counts = self._confusion.matrix(len(runner.val_dataloader.dataset))
        if isinstance(runner._train_loop, dict | None):
            return
        note_validation(runner)
        if self._screen is None:
            return
        indicator = Indicator.of(runner)
        known = validations(runner, indicator.name) if indicator else []
        is_best = bool(known) and indicator.best(known) is known[-1]
        if known and counts is not None and (is_best or self._best is None):
            self._best = known[-1], counts
        if not self._line:
            begun = f'iteration {runner.iter} of {runner.max_iters}' if runner.iter else 'before training'
            trained = training_words(runner, runner.iter - self._since) if runner.iter > self._since else ''
            self._line = f'{begun}  {trained}'.rstrip()
            self._since = runner.iter
        best = ' (best so far)' if is_best and len(known) > 1 else ''
        self._line += f'  validation {number_words(metrics or {})}{best}'
        self._flush(runner)

    def after_train(self, runner: Runner) -> None:
        """Say what came of all, draw it, and say what to do next."""
        if self._screen is None:
            return
        self._flush(runner)
        self._screen.hide()
        for line in after_training(runner, time.monotonic() - self._pace.begun, self._best):
            self._screen.say(line)

    def before_test(self, runner: Runner) -> None:
        """Say what will be tested."""
        if self._screen:
            self._screen.say(before_testing(runner))
            self._pace = _Pace(0, len(runner.test_dataloader))

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence[Any] | None = None
    ) -> None:
        """Move the bar on, or say from time to time how far it is."""
        if self._screen is None:
            return
        done, total, left = batch_idx + 1, len(runner.test_dataloader), self._pace.left(batch_idx + 1)
        self._screen.show('testing', done, total, left)
        if not self._screen.has_bars and self._pace.is_due(done):
            self._say('testing', f'batch {done} of {total}', left)
            self._pace.tell(done)

    def after_test_epoch(self, runner: Runner, metrics: Mapping[str, float] | None = None) -> None:
        """Say what the test gave."""
        if self._screen:
            self._screen.hide()
            self._screen.say(number_words(metrics or {}, 100) or 'Nothing was scored.')

    def _flush(self, runner: Runner) -> None:
        """Say the line that was kept."""
        if self._screen and self._line:
            self._say(self._line, self._pace.left(runner.iter) if self._pace else '')
            self._line = ''
            if self._pace:
                self._pace.tell(runner.iter)

    def _say(self, *parts: str) -> None:
        self._screen.say('  '.join(part for part in parts if part))
