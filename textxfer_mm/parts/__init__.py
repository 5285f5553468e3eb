"""What heads are made of, under MMAction2 and MMPretrain: sources and encoders by config, projections, classifiers."""

from textxfer_mm.parts.building import build_classifier_source, build_text_encoder
from textxfer_mm.parts.projections import ConSEProjection, build_projection

__all__ = ['ConSEProjection', 'build_classifier_source', 'build_projection', 'build_text_encoder']
