"""Plots."""

from textxfer_mm.visualization.curves import plot_loss_curves, plot_training_curves
from textxfer_mm.visualization.matrices import (
    class_correlation,
    plot_class_correlation,
    plot_class_correlations,
    plot_confusion_matrix,
)
from textxfer_mm.visualization.projection_maps import plot_projection_maps
from textxfer_mm.visualization.timelines import plot_timeline
from textxfer_mm.visualization.trade_off import plot_trade_off

__all__ = [
    'class_correlation',
    'plot_class_correlation',
    'plot_class_correlations',
    'plot_confusion_matrix',
    'plot_loss_curves',
    'plot_projection_maps',
    'plot_timeline',
    'plot_trade_off',
    'plot_training_curves',
]
