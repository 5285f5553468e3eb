"""Temporal modules between backbone and head."""

from textxfer_mm.models.necks.temporal_average_pool import TemporalAveragePool
from textxfer_mm.models.necks.temporal_transformer import TemporalTransformer

__all__ = ['TemporalAveragePool', 'TemporalTransformer']
