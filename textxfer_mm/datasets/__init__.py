"""Datasets and transforms."""

from textxfer_mm.datasets.label_fraction import LabelFractionDataset
from textxfer_mm.datasets.transforms_tolerant import TolerantDecode, TolerantDecordDecode, TolerantDecordInit

__all__ = ['LabelFractionDataset', 'TolerantDecode', 'TolerantDecordDecode', 'TolerantDecordInit']
