"""Backbones: vision towers of vision-language models."""

from textxfer_mm.models.backbones.clip_backbone import CLIPBackbone
from textxfer_mm.models.backbones.packaged import PACKAGED_ARCH, packaged_imagenet_classifier
from textxfer_mm.models.backbones.preprocess import input_cfg, preprocessor_cfg

__all__ = ['PACKAGED_ARCH', 'CLIPBackbone', 'input_cfg', 'packaged_imagenet_classifier', 'preprocessor_cfg']
