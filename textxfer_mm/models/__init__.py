"""Registered shells: importing this package registers backbones, necks, heads, projections and classifier sources."""

from textxfer_mm.models.backbones import CLIPBackbone, MultiTrainMViT
from textxfer_mm.models.blending import MultiDatasetBlending
from textxfer_mm.models.building import build_classifier_source, build_text_encoder
from textxfer_mm.models.head_projections import ConSEProjection
from textxfer_mm.models.heads import (
    CaptionMatchingHead,
    LearnablePromptHead,
    MultiDatasetHead,
    MultiDatasetTextHead,
    TextEmbeddingHead,
    VideoTextMatchingHead,
)
from textxfer_mm.models.necks import TemporalAveragePool, TemporalTransformer

__all__ = [
    'CLIPBackbone',
    'CaptionMatchingHead',
    'ConSEProjection',
    'LearnablePromptHead',
    'MultiDatasetBlending',
    'MultiDatasetHead',
    'MultiDatasetTextHead',
    'MultiTrainMViT',
    'TemporalAveragePool',
    'TemporalTransformer',
    'TextEmbeddingHead',
    'VideoTextMatchingHead',
    'build_classifier_source',
    'build_text_encoder',
]
