"""Temporal modules between backbone and head."""

from textxfer_mm.models.necks.temporal import TemporalAveragePool, TemporalTransformer

__all__ = ['TemporalAveragePool', 'TemporalTransformer']
