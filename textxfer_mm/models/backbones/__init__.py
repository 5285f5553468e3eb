"""Backbones: vision towers of vision-language models, and the MViTv2 of MultiTrain."""

from textxfer_mm.models.backbones.clip_backbone import CLIPBackbone
from textxfer_mm.models.backbones.multitrain_mvit import MultiTrainMViT
from textxfer_mm.models.backbones.packaged import PACKAGED_ARCH, packaged_imagenet_classifier
from textxfer_mm.models.backbones.preprocess import input_cfg, preprocessor_cfg

__all__ = [
    'PACKAGED_ARCH',
    'CLIPBackbone',
    'MultiTrainMViT',
    'input_cfg',
    'packaged_imagenet_classifier',
    'preprocessor_cfg',
]
