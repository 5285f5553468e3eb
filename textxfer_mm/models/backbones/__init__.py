"""Backbones: vision towers of vision-language models."""

from textxfer_mm.models.backbones.clip_backbone import CLIPBackbone

__all__ = ['CLIPBackbone']
