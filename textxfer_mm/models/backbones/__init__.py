"""Backbones: vision towers of vision-language models, and the MViTv2 of MultiTrain."""

from textxfer_mm.models.backbones.clip_backbone import CLIPBackbone
from textxfer_mm.models.backbones.multitrain_mvit import MultiTrainMViT

__all__ = ['CLIPBackbone', 'MultiTrainMViT']
