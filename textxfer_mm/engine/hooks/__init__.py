"""Runner hooks."""

from textxfer_mm.engine.hooks.corrupt_video import CorruptVideoHook
from textxfer_mm.engine.hooks.epoch_seed import EpochSeedHook, seed_worker

__all__ = ['CorruptVideoHook', 'EpochSeedHook', 'seed_worker']
