"""Registered heads, and what they share."""

from textxfer_mm.models.heads.caption_matching_head import CaptionMatchingHead
from textxfer_mm.models.heads.cosine_head import CosineHead
from textxfer_mm.models.heads.learnable_prompt_head import LearnablePromptHead
from textxfer_mm.models.heads.multi_dataset_head import MultiDatasetHead
from textxfer_mm.models.heads.multi_dataset_text_head import MultiDatasetTextHead
from textxfer_mm.models.heads.text_embedding_head import TextEmbeddingHead
from textxfer_mm.models.heads.tip_adapter_head import TipAdapterHead
from textxfer_mm.models.heads.unified_contrastive_head import UnifiedContrastiveHead
from textxfer_mm.models.heads.video_text_matching_head import VideoTextMatchingHead

__all__ = [
    'CaptionMatchingHead',
    'CosineHead',
    'LearnablePromptHead',
    'MultiDatasetHead',
    'MultiDatasetTextHead',
    'TextEmbeddingHead',
    'TipAdapterHead',
    'UnifiedContrastiveHead',
    'VideoTextMatchingHead',
]
