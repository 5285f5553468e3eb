"""Hooks, optimizer wrapper, checkpoint files and what the scripts in ``tools/`` share."""

from textxfer_mm.engine.checkpoint import load_checkpoint_file
from textxfer_mm.engine.hooks import CorruptVideoHook, EpochSeedHook, epoch_worker_init_fn
from textxfer_mm.engine.optim_wrappers import AutocastOptimWrapper

__all__ = ['AutocastOptimWrapper', 'CorruptVideoHook', 'EpochSeedHook', 'epoch_worker_init_fn', 'load_checkpoint_file']
