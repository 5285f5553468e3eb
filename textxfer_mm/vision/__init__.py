"""Vision towers of vision-language models: how they are built, loaded and frozen, and how they want their frames."""

from textxfer_mm.vision.clip_tower import CLIPVisionTower
from textxfer_mm.vision.packaged import PACKAGED_ARCH, packaged_imagenet_classifier
from textxfer_mm.vision.preprocess import input_cfg, preprocessor_cfg

__all__ = ['PACKAGED_ARCH', 'CLIPVisionTower', 'input_cfg', 'packaged_imagenet_classifier', 'preprocessor_cfg']
