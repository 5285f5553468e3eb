"""Datasets and transforms."""

from textxfer_mm.datasets.transforms_tolerant import TolerantDecode, TolerantDecordDecode, TolerantDecordInit

__all__ = ['TolerantDecode', 'TolerantDecordDecode', 'TolerantDecordInit']
