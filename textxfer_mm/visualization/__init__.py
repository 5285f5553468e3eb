"""Plots."""

from textxfer_mm.visualization.curves import plot_training_curves
from textxfer_mm.visualization.matrices import plot_class_correlation, plot_confusion_matrix

__all__ = ['plot_class_correlation', 'plot_confusion_matrix', 'plot_training_curves']
