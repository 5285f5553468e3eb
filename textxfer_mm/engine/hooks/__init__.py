"""Runner hooks."""

from textxfer_mm.engine.hooks.corrupt_video import CorruptVideoHook
from textxfer_mm.engine.hooks.epoch_seed import EpochSeedHook, epoch_worker_init_fn
from textxfer_mm.engine.hooks.finite import FiniteLossHook
from textxfer_mm.engine.hooks.resume import ResumeHook
from textxfer_mm.engine.hooks.sigterm import SigtermCheckpointHook

__all__ = [
    'CorruptVideoHook',
    'EpochSeedHook',
    'FiniteLossHook',
    'ResumeHook',
    'SigtermCheckpointHook',
    'epoch_worker_init_fn',
]
