"""A checkpoint when SIGTERM comes, from which the epoch goes on."""

import functools
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import EpochBasedTrainLoop, Runner

from textxfer_mm.engine.within_epoch import WithinEpoch
from textxfer_mm.errors import UserError
from textxfer_mm.interrupts import Terminated, postpone
from textxfer_mm.registry import HOOKS

#: The file, in the work dir; the next one takes its place.
STOPPED = 'stopped.pth'
#: Seconds that an iteration may take to end after SIGTERM; Slurm kills after 30.
PATIENCE = 20


@HOOKS.register_module()
class SigtermCheckpointHook(Hook):
    """Saves a checkpoint after the iteration during which SIGTERM comes, and ends the run then.

    ``tools/train.py --checkpoint-on-sigterm`` adds it. The file ``stopped.pth`` holds how far the epoch is, and
    ``--resume`` goes on from the next iteration. Where gradients are accumulated, it is saved after the next update.
    Where no iteration ends in 20 seconds, as in a long validation, the run ends without it.
    """

    priority = 'LOWEST'  # what the other hooks do after an iteration belongs to it

    def before_train(self, runner: Runner) -> None:
        """Let SIGTERM wait for the end of an iteration.

        Raises:
            UserError: There are several optimizers, of which nobody can tell whether they are between two updates.
        """
        if isinstance(runner.optim_wrapper, OptimWrapperDict):
            raise UserError('--checkpoint-on-sigterm needs a single optimizer; optim_wrapper has several.')
        self._is_asked = postpone(PATIENCE)
        loader = runner.train_dataloader
        loader.worker_init_fn = functools.partial(_start_worker, loader.worker_init_fn)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Save and end, if that was asked for.

        Raises:
            Terminated: It was.
        """
        asked = torch.tensor(int(self._is_asked()))
        all_reduce(asked, op='max')  # the ranks hear of it in different iterations
        if not asked or not runner.optim_wrapper.should_update():
            return
        signal.setitimer(signal.ITIMER_REAL, 0)
        within = isinstance(runner.train_loop, EpochBasedTrainLoop)
        meta = WithinEpoch.now(runner, batch_idx + 1).meta() if within else {}
        try:
            runner.save_checkpoint(runner.work_dir, STOPPED, by_epoch=False, meta=meta)
            runner.logger.info(f'SIGTERM: saved {STOPPED} after iteration {runner.iter + 1}; --resume goes on there.')
        except UserError as error:
            runner.logger.error(f'SIGTERM: {error}')
        raise Terminated


def _start_worker(released: Callable[[int], None] | None, worker_id: int) -> None:
    """Let a data worker, which gets SIGTERM too where all processes do, deliver the batches of the iteration."""
    signal.signal(signal.SIGTERM, _die_later)
    if released is not None:
        released(worker_id)


def _die_later(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(PATIENCE)
