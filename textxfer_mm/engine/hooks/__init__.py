"""Runner hooks."""

from textxfer_mm.engine.hooks.corrupt_video import CorruptVideoHook
from textxfer_mm.engine.hooks.custom_keys import CustomKeysHook
from textxfer_mm.engine.hooks.epoch_seed import EpochSeedHook, epoch_worker_init_fn
from textxfer_mm.engine.hooks.finite import FiniteLossHook
from textxfer_mm.engine.hooks.frozen_parts import FrozenPartsHook
from textxfer_mm.engine.hooks.initial_validation import InitialValidationHook
from textxfer_mm.engine.hooks.resume import ResumeHook
from textxfer_mm.engine.hooks.save_clip import SaveCLIPHook
from textxfer_mm.engine.hooks.sigterm import SigtermCheckpointHook
from textxfer_mm.engine.hooks.warm_up import WarmUpHook

__all__ = [
    'CorruptVideoHook',
    'CustomKeysHook',
    'EpochSeedHook',
    'FiniteLossHook',
    'FrozenPartsHook',
    'InitialValidationHook',
    'ResumeHook',
    'SaveCLIPHook',
    'SigtermCheckpointHook',
    'WarmUpHook',
    'epoch_worker_init_fn',
]
