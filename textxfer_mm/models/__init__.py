"""Registered shells of MMAction2: importing this package registers backbones, necks and heads, and what they need."""

from textxfer_mm.models.backbones import CLIPBackbone, IdentityBackbone, MultiTrainMViT
from textxfer_mm.models.blending import MultiDatasetBlending
from textxfer_mm.models.features_or_pixels import FeaturesOrPixels
from textxfer_mm.models.heads import (
    CaptionMatchingHead,
    LearnablePromptHead,
    MultiDatasetHead,
    MultiDatasetTextHead,
    TextEmbeddingHead,
    UnifiedContrastiveHead,
    VideoTextMatchingHead,
)
from textxfer_mm.models.necks import TemporalAveragePool, TemporalTransformer

__all__ = [
    'CLIPBackbone',
    'CaptionMatchingHead',
    'FeaturesOrPixels',
    'IdentityBackbone',
    'LearnablePromptHead',
    'MultiDatasetBlending',
    'MultiDatasetHead',
    'MultiDatasetTextHead',
    'MultiTrainMViT',
    'TemporalAveragePool',
    'TemporalTransformer',
    'TextEmbeddingHead',
    'UnifiedContrastiveHead',
    'VideoTextMatchingHead',
]
