"""Backbones: vision towers of vision-language models, the MViTv2 of MultiTrain, and none at all."""

from textxfer_mm.models.backbones.clip_backbone import CLIPBackbone
from textxfer_mm.models.backbones.identity_backbone import IdentityBackbone
from textxfer_mm.models.backbones.multitrain_mvit import MultiTrainMViT

__all__ = ['CLIPBackbone', 'IdentityBackbone', 'MultiTrainMViT']
