"""Backbones: vision towers of vision-language models."""

from textxfer_mm.models.backbones.clip_backbone import CLIPBackbone
from textxfer_mm.models.backbones.packaged import EMBEDDED_ARCH, embedded_imagenet_classifier
from textxfer_mm.models.backbones.preprocess import input_cfg, preprocessor_cfg

__all__ = ['EMBEDDED_ARCH', 'CLIPBackbone', 'embedded_imagenet_classifier', 'input_cfg', 'preprocessor_cfg']
