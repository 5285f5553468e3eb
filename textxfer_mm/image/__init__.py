"""Registered shells of MMPretrain: importing this registers backbone, heads and preprocessor, not MMPretrain."""

from textxfer_mm.image.clip_image_backbone import CLIPImageBackbone
from textxfer_mm.image.mixed_data_preprocessor import MixedDataPreprocessor
from textxfer_mm.image.text_embedding_cls_head import TextEmbeddingClsHead
from textxfer_mm.image.unified_contrastive_cls_head import UnifiedContrastiveClsHead

__all__ = ['CLIPImageBackbone', 'MixedDataPreprocessor', 'TextEmbeddingClsHead', 'UnifiedContrastiveClsHead']
