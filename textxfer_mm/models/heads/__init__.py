"""Registered heads."""

from textxfer_mm.models.heads.text_embedding_head import TextEmbeddingHead
from textxfer_mm.models.heads.video_text_matching_head import VideoTextMatchingHead

__all__ = ['TextEmbeddingHead', 'VideoTextMatchingHead']
