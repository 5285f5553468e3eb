"""Datasets and transforms."""

from textxfer_mm.datasets.transforms_tolerant import TolerantDecode

__all__ = ['TolerantDecode']
