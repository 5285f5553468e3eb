"""Random draws that differ between epochs and are the same again after a resume."""

import logging
import random

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from textxfer_mm.registry import FUNCTIONS, HOOKS


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Reseed Python, NumPy and PyTorch before each training epoch, from seed + 1000 x epoch + rank.

    MMEngine's checkpoints hold no random state, so a resumed run draws other dropout masks and augmentations than the
    run that it continues. With this hook, with ``persistent_workers=False`` and with
    ``worker_init_fn=dict(type='epoch_worker_init_fn')`` in ``train_dataloader``, resuming is exact: an epoch-based run
    that is resumed from the checkpoint of any epoch ends with exactly the parameters of the run that was never stopped.
    (MMEngine's own worker seeding repeats the same augmentations in every epoch once workers are not persistent.)

    Not exact: persistent workers (their random state survives epochs); iteration-based loops (the data are replayed,
    dropout is not); a resume with another number of ranks, workers or samples per batch; a run without a fixed seed
    (give ``randomness=dict(seed=...)`` or ``--seed``); GPU kernels that are not deterministic (``--deterministic``).
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Warn if the data workers are set up in a way that makes resuming inexact."""
        loader = runner.train_dataloader
        if loader.num_workers == 0:
            return
        if loader.persistent_workers:
            print_log(
                'train_dataloader.persistent_workers=True: augmentations will differ after a resume; set it to False '
                'for an exact one.',
                logger='current',
                level=logging.WARNING,
            )
        elif getattr(loader.worker_init_fn, 'func', loader.worker_init_fn) is not epoch_worker_init_fn and not getattr(
            loader.dataset, 'seeds_batches', False
        ):
            print_log(
                'train_dataloader has non-persistent workers that are seeded alike in every epoch, so each epoch '
                "repeats the same augmentations; set worker_init_fn=dict(type='epoch_worker_init_fn').",
                logger='current',
                level=logging.WARNING,
            )

    def before_train_epoch(self, runner: Runner) -> None:
        """Reseed; the data workers of this epoch then derive their seeds from PyTorch's generator."""
        seed = (runner.seed + 1000 * runner.epoch + get_rank()) % 2**32
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)


@FUNCTIONS.register_module()
def epoch_worker_init_fn(worker_id: int) -> None:
    """Seed Python and NumPy of a data worker from the seed that PyTorch drew for it when the epoch began.

    Args:
        worker_id: Index of the worker; PyTorch's seed is already different for each.
    """
    seed = torch.initial_seed() % 2**32
    random.seed(seed)
    np.random.seed(seed)
