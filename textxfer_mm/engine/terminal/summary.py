"""What is said after a training: what it reached, where that lies, and what to type next."""

import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.runner import Runner

from textxfer_mm.engine.classes import class_names_of, head_of
from textxfer_mm.engine.hooks import SaveCLIPHook
from textxfer_mm.engine.hooks.save_clip import FOLDER
from textxfer_mm.engine.terminal.measures import (
    Indicator,
    Validation,
    accuracy_name,
    history,
    is_by_epoch,
    saver_of,
    validations,
)
from textxfer_mm.engine.terminal.told import bare, near
from textxfer_mm.errors import UserError, first_line
from textxfer_mm.pace import duration_words

#: The pictures, in the work dir.
CURVES, CONFUSION = 'curves.png', 'confusion.png'


def after_training(runner: Runner, seconds: float, confusion: tuple[Validation, np.ndarray] | None) -> Iterator[str]:
    """The lines after a training.

    Args:
        runner: Its runner.
        seconds: How long it took.
        confusion: A validation with its counts (K, K), for the plot.
    """
    loop, by_epoch = runner.train_loop, is_by_epoch(runner)
    done, planned = (loop.epoch, loop.max_epochs) if by_epoch else (loop.iter, loop.max_iters)
    unit = 'epochs' if by_epoch else 'iterations'
    early = f' Stopped early, {done} of {planned} {unit} were done.' if done < planned else ''
    yield f'Trained in {duration_words(seconds)}.{early}'
    indicator = Indicator.of(runner)
    checkpoint, line = _kept(runner, indicator)
    yield line
    drawn = [*_draw_curves(runner, indicator), *_draw_confusion(runner, confusion)]
    if drawn:
        yield f'Pictures: {"; ".join(drawn)}.'
    if checkpoint:
        yield 'Next:'
        yield from (f'  {command}' for command in _next_commands(runner, checkpoint))


def _place(runner: Runner, validation: Validation) -> str:
    by_epoch = is_by_epoch(runner)
    if not (validation.epoch if by_epoch else validation.iter):
        return 'before training'
    return f'after epoch {validation.epoch}' if by_epoch else f'after iteration {validation.iter}'


def _kept(runner: Runner, indicator: Indicator | None) -> tuple[str | None, str]:
    """The checkpoint to go on with, and the line about it and the best validation."""
    hub, saver = runner.message_hub, saver_of(runner)
    last = hub.runtime_info.get('last_ckpt')
    known = validations(runner, indicator.name) if indicator else []
    kept_last = f'the last weights are in {near(last)}' if last else 'no weights were kept (default_hooks.checkpoint)'
    if not known:
        return last, f'{kept_last[0].upper()}{kept_last[1:]}.'
    best = indicator.best(known)
    score = f'{indicator.name}: {best.score:.4f} {_place(runner, best)}'
    best_file = hub.runtime_info.get('best_ckpt') or hub.runtime_info.get(f'best_ckpt_{indicator.name}')
    if best_file:
        return best_file, f'Best: {score}, in {near(best_file)}; {kept_last}.'
    if best == known[-1] or saver is None:
        return last, f'Best: {score}; {kept_last}.'
    return last, (
        f"Best: {score}, whose weights were not kept (default_hooks.checkpoint.save_best='auto' keeps them); "
        f'{indicator.name}: {known[-1].score:.4f} {_place(runner, known[-1])}; {kept_last}.'
    )


def _draw_curves(runner: Runner, indicator: Indicator | None) -> Iterator[str]:
    """Draw loss and accuracy; yield what to say of it."""
    from textxfer_mm.visualization import plot_training_curves  # matplotlib: not before there is something to draw

    losses, accuracy = history(runner.message_hub, 'train/loss'), accuracy_name(runner.message_hub)
    accuracies = history(runner.message_hub, accuracy or '')
    known = validations(runner, indicator.name) if indicator else []
    if len(losses):
        yield from _drawn(
            'loss and scores',
            lambda path: plot_training_curves(
                path,
                iterations=range(runner.iter - len(losses) + 1, runner.iter + 1),
                losses=losses,
                accuracies=accuracies if len(accuracies) == len(losses) else None,
                val_iterations=[one.iter for one in known],
                val_accuracies=[one.score for one in known],
                score=indicator.name if indicator else (accuracy or '').removeprefix('train/'),
            ),
            Path(runner.work_dir) / CURVES,
            runner,
        )


def _draw_confusion(runner: Runner, confusion: tuple[Validation, np.ndarray] | None) -> Iterator[str]:
    """Draw which class was taken for which; yield what to say of it."""
    from textxfer_mm.visualization import plot_confusion_matrix

    if confusion is None:
        return
    validation, counts = confusion
    try:
        names = class_names_of(bare(runner.model)) or ()
    except UserError:  # classes of several datasets
        return
    names = names if len(names) == len(counts) else tuple(map(str, range(len(counts))))
    yield from _drawn(
        f'which class was taken for which {_place(runner, validation)}',
        lambda path: plot_confusion_matrix(path, counts, names),
        Path(runner.work_dir) / CONFUSION,
        runner,
    )


def _drawn(what: str, draw: Callable[[Path], Any], path: Path, runner: Runner) -> Iterator[str]:
    """Draw a picture; where it cannot be written, it is the picture that is lost, not the run."""
    try:
        draw(path)
    except OSError as error:
        runner.logger.warning(f'{near(path)} could not be drawn: {first_line(error)}.')
        return
    yield f'{what}: {near(path)}'


def _next_commands(runner: Runner, checkpoint: str) -> Iterator[str]:
    """What to type next: a test with the script beside the one that trained, and a prediction."""
    script, cfg, file = Path(sys.argv[0]), runner.cfg, shlex.quote(near(checkpoint))
    tester = script.with_name('test.py')
    if script.name == 'train.py' and tester.is_file() and cfg.get('test_dataloader') and cfg.filename:
        yield f'python {shlex.quote(near(tester))} {shlex.quote(near(cfg.filename))} {file}'
    if any(isinstance(hook, SaveCLIPHook) for hook in runner.hooks):
        folder = shlex.quote(near(Path(runner.work_dir) / FOLDER))
        yield f'textxfer predict my_videos/ --labels "one,another" --model {folder}'
    elif cfg.model.get('backbone', {}).get('type') == 'IdentityBackbone':
        yield f'python tools/model_converters/add_backbone.py CONFIG_OF_THE_VIDEOS {file} FILE  (to predict videos)'
    else:
        head = head_of(cfg)
        datasets = [] if head.get('predict_as') else list(head.get('datasets') or ())
        chosen = f' --dataset {shlex.quote(datasets[0])}' if len(datasets) > 1 else ''
        yield f'textxfer predict my_videos/ --checkpoint {file}{chosen}'
