"""Registered heads."""

from textxfer_mm.models.heads.text_embedding_head import TextEmbeddingHead

__all__ = ['TextEmbeddingHead']
