"""Hooks, optimizer wrapper, checkpoint files and what the scripts in ``tools/`` share."""

from textxfer_mm.engine.checkpoint import load_checkpoint_file
from textxfer_mm.engine.hooks import CorruptVideoHook, EpochSeedHook, seed_worker
from textxfer_mm.engine.optim_wrappers import AutocastOptimWrapper

__all__ = ['AutocastOptimWrapper', 'CorruptVideoHook', 'EpochSeedHook', 'load_checkpoint_file', 'seed_worker']
