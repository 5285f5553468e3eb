"""What makes a resumed run the same run: classes, checkpoints that have moved, a validation that was not reached."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.logging import MessageHub
from mmengine.model import is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner

from textxfer_mm.classifiers.class_rows import ClassRows
from textxfer_mm.classifiers.sources import ClassifierSource
from textxfer_mm.classifiers.stored_rows import StoredRows
from textxfer_mm.compat_checkpoints import REPLACED
from textxfer_mm.engine.remaining_batches import pass_over_iterations, seeded_sampler
from textxfer_mm.engine.resuming import LAST_VALIDATION, last_validation
from textxfer_mm.engine.within_epoch import WithinEpoch
from textxfer_mm.errors import UserError, first_few, shown, shown_message
from textxfer_mm.files import leftovers, write_text
from textxfer_mm.inputs import URL
from textxfer_mm.log_bridge import TO_TERMINAL
from textxfer_mm.registry import HOOKS

#: Where the ``meta`` of a checkpoint has the seed of the sampler.
_SEED = 'sampler_seed'


@HOOKS.register_module()
class ResumeHook(Hook):
    """Lets a run that goes on be the one that was stopped; ``tools/train.py`` adds it to every run.

    It refuses a checkpoint of other classes, passes over what an epoch that was begun has done, validates first where
    the run was stopped between an epoch (or the last iteration of an interval) and its validation, and finds the best
    checkpoint of a work dir that was moved. How far the run has been validated is kept in the file ``last_validation``
    of the work dir. What writers that were killed left in the folder of the checkpoints is removed, and what they had
    replaced and not removed yet.

    Every checkpoint that is saved within an epoch holds how far it is, and each the seed of the sampler, so that the
    samples that follow, in their order, and the learning rates are those of the run that was never stopped. So is all
    that is drawn at random where the checkpoint holds the random states: of a single process, or saved by
    :class:`~textxfer_mm.engine.hooks.sigterm.SigtermCheckpointHook`.

    Args:
        notes: Warnings to log when training begins: which files were passed over.
        other_classes: Whether a checkpoint of other classes may be resumed from.
    """

    priority = 'LOWEST'  # after CheckpointHook, which finds its folder before training and keeps the best after

    def __init__(self, notes: Sequence[str] = (), other_classes: bool = False) -> None:
        self.notes, self.other_classes = tuple(notes), other_classes
        self._within: WithinEpoch | None = None
        self._epoch_begin: int | None = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Refuse other classes in a checkpoint that is resumed from, and see whether it was saved within an epoch.

        Raises:
            UserError: The classes of the config are others, or an epoch has other iterations here.
        """
        if not runner._resume:
            return
        sampler = seeded_sampler(runner.train_dataloader)
        if sampler is not None and checkpoint['meta'].get(_SEED) is not None:
            sampler.seed = checkpoint['meta'][_SEED]
        self._within = WithinEpoch.of(checkpoint)
        if self._within is not None:
            self._within.require_same_epoch(runner)
        if self.other_classes:
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        for path, rows in model.named_modules():
            held = StoredRows.read(checkpoint['state_dict'], f'{path}.') if isinstance(rows, ClassRows) else None
            if held is not None:
                _require_same_classes(held, rows.source)

    def before_train(self, runner: Runner) -> None:
        """Tidy up, and validate first if that is due."""
        for note in self.notes:
            runner.logger.warning(shown_message(note))
        saver = next((hook for hook in runner.hooks if isinstance(hook, CheckpointHook)), None)
        if saver is not None and not URL.match(str(saver.out_dir)):
            if runner._resume:
                _rehome(runner, saver)
            _remove_leftovers(runner, saver)
        if runner._resume and self._within is None:
            _warn_of_other_epochs(runner)
        if self._is_validation_due(runner):
            runner.logger.info(
                'The run was stopped before it was validated here, which is done now.', extra=TO_TERMINAL
            )
            runner.val_loop.run()

    def before_train_epoch(self, runner: Runner) -> None:
        """Pass over what an epoch that was begun has done."""
        loop = runner.train_loop
        self._epoch_begin = runner.iter
        if self._within is not None:
            self._epoch_begin -= self._within.done
            self._within.pass_over(runner)
            self._within = None
        elif runner._resume and isinstance(loop, IterBasedTrainLoop) and loop.iter:
            pass_over_iterations(loop)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keep the seed of the sampler, and how far the epoch is; MMEngine calls it in the first process."""
        meta, sampler = checkpoint['meta'], seeded_sampler(runner.train_dataloader)
        if sampler is not None:
            meta[_SEED] = sampler.seed
        is_within = isinstance(runner.train_loop, EpochBasedTrainLoop) and meta['epoch'] == runner.epoch
        if is_within and self._epoch_begin is not None and WithinEpoch.of(checkpoint) is None:
            meta.update(WithinEpoch.told_by_one(runner, meta['iter'] - self._epoch_begin).meta())

    def after_train_epoch(self, runner: Runner) -> None:
        """What is saved from here on is not within the epoch."""
        self._epoch_begin = None

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Remember that this was validated."""
        if is_main_process() and not isinstance(runner._train_loop, dict | None):
            write_text(Path(runner.work_dir) / LAST_VALIDATION, f'{runner.iter}\n')

    def _is_validation_due(self, runner: Runner) -> bool:
        """Whether the checkpoint was saved after the last validation, though one belongs there; equal on all ranks."""
        due = [False]
        if is_main_process():
            file, done = Path(runner.work_dir) / LAST_VALIDATION, last_validation(runner.work_dir)
            if not runner._resume:
                file.unlink(missing_ok=True)
            elif done > runner.iter:  # it goes on from further back than it once was
                write_text(file, f'{runner.iter}\n')
            else:
                due = [self._within is None and done < runner.iter and _validates_here(runner)]
        broadcast_object_list(due)
        return due[0]


def _validates_here(runner: Runner) -> bool:
    """Whether the training loop validates after what is done."""
    loop = runner.train_loop
    if runner.val_loop is None or not hasattr(loop, 'val_interval'):
        return False
    if hasattr(loop, '_decide_current_val_interval'):
        loop._decide_current_val_interval()
    by_iter = isinstance(loop, IterBasedTrainLoop)
    done, last = (loop.iter, loop.max_iters) if by_iter else (loop.epoch, loop.max_epochs)
    return done >= max(loop.val_begin, 1) and (done % loop.val_interval == 0 or done == last)


def _warn_of_other_epochs(runner: Runner) -> None:
    """Say so if an epoch had another number of iterations before: schedules that count iterations do not fit then."""
    length = len(runner.train_dataloader)
    if runner.epoch and not isinstance(runner.train_loop, IterBasedTrainLoop) and runner.iter != runner.epoch * length:
        runner.logger.warning(
            f'An epoch had {runner.iter / runner.epoch:g} iterations in the run that goes on and has {length} now: '
            'with other videos, another batch size or another number of processes it is not the same run any more.'
        )


def _require_same_classes(held: StoredRows, source: ClassifierSource) -> None:
    """Refuse rows that were made of other names, glosses, templates or by another encoder than the config asks for."""
    found = held.first_difference(source)
    if found is None:
        return
    name, asked = found
    end = 'Use the config it was trained with, or go on with the new classes all the same: --allow-other-classes.'
    if name == 'class_names':
        raise UserError(
            f'--resume: the config has {len(asked)} classes ({first_few(asked)}), the checkpoint '
            f'{len(held.class_names)} ({first_few(held.class_names)}){_where(asked, held.class_names)}. {end}'
        )
    if name == 'encoder_id':
        raise UserError(
            f'--resume: the class names are embedded by {shown(asked)} in the config, and were by '
            f'{shown(held.encoder_id)} in the checkpoint. {end}'
        )
    raise UserError(
        f'--resume: the {name} of the classes are others in the config ({_count(asked)}) than in the checkpoint '
        f'({_count(getattr(held, name))}){_of_class(name, asked, held)}. {end}'
    )


def _count(values: Sequence[Any]) -> str:
    """How many templates, or of how many classes there are glosses."""
    return str(sum(map(bool, values))) if any(values) else 'none'


def _of_class(name: str, asked: Sequence[Any], held: StoredRows) -> str:
    """Name the first class whose glosses, or the first of the templates, that differs."""
    there = getattr(held, name)
    if not asked or len(asked) != len(there):
        return ''
    number = next(i for i, pair in enumerate(zip(asked, there, strict=True)) if pair[0] != pair[1])
    values = [' | '.join(one) if name == 'glosses' else one for one in (asked[number], there[number])]
    what = f'of {shown(held.class_names[number])!r}, ' if name == 'glosses' else ''
    return f': {what}{shown(values[0], 60)!r} here and {shown(values[1], 60)!r} there'


def _where(asked: Sequence[str], held: Sequence[str]) -> str:
    """Name the first class that differs in lists of one length."""
    if len(asked) != len(held):
        return ''
    number = next(i for i, names in enumerate(zip(asked, held, strict=True)) if names[0] != names[1])
    return f'; class {number} is {asked[number]!r} here and {held[number]!r} there'


def _remove_leftovers(runner: Runner, saver: CheckpointHook) -> None:
    """Remove what writers that were killed left among the checkpoints: halves of files, and those they had replaced."""
    if not is_main_process():
        return
    folder, hub = saver.out_dir, runner.message_hub
    current = {Path(str(path)).name for path in (runner._load_from, *map(hub.get_info, _best_keys(hub)))}
    replaced = [Path(folder) / name for name in hub.get_info(REPLACED, []) if name not in current]
    left = [*leftovers(folder, '.pth'), *leftovers(folder, ''), *(path for path in replaced if path.is_file())]
    for path in left:
        path.unlink(missing_ok=True)
    if left:
        runner.logger.info(f'Removed {len(left)} files, unfinished or replaced, of a run that was killed while saving.')


def _best_keys(hub: MessageHub) -> list[str]:
    """Where the best checkpoints are named."""
    return [key for key in hub.runtime_info if key == 'best_ckpt' or key.startswith('best_ckpt_')]


def _rehome(runner: Runner, saver: CheckpointHook) -> None:
    """Look for the best checkpoints, which a checkpoint names by their whole path, where the run is now.

    A copy of a run would remove those of the original otherwise.
    """
    saver.last_ckpt = runner._load_from  # saved again with the score if it proves to be the best
    if saver.save_best is None:
        return
    hub = runner.message_hub
    for key in _best_keys(hub):
        path = saver.file_backend.join_path(saver.out_dir, Path(str(hub.get_info(key))).name)
        hub.update_info(key, path)
        if key == 'best_ckpt':
            saver.best_ckpt_path = path
        else:
            saver.best_ckpt_path_dict[key.removeprefix('best_ckpt_')] = path
