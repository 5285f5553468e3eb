"""Classifier sources and text encoders, registered and built from their configs."""

from collections.abc import Mapping
from typing import Any

from textxfer_mm.classifiers.drawn import OneHotClassifier, OrthogonalClassifier, RandomClassifier
from textxfer_mm.classifiers.lda import LDAClassifier
from textxfer_mm.classifiers.sources import FileClassifier, TextClassifier
from textxfer_mm.part_configs import build_part
from textxfer_mm.registry import MODELS
from textxfer_mm.text.clip_encoder import CLIPTextEncoder
from textxfer_mm.text.language_encoder import LanguageModelEncoder

_SOURCES = (FileClassifier, LDAClassifier, OneHotClassifier, OrthogonalClassifier, RandomClassifier, TextClassifier)
_ENCODERS = (CLIPTextEncoder, LanguageModelEncoder)
CLASSIFIER_SOURCES = tuple(module.__name__ for module in _SOURCES)
TEXT_ENCODERS = tuple(module.__name__ for module in _ENCODERS)

for _module in (*_SOURCES, *_ENCODERS):
    MODELS.register_module(module=_module)


def build_text_encoder(cfg: Any) -> Any:
    """Build a text encoder from a config dict; an object that can ``encode`` is returned as it is.

    Raises:
        UserError: an unknown type or argument; the nearest names are listed.
    """
    is_encoder = callable(getattr(cfg, 'encode', None)) and not isinstance(cfg, str | Mapping)
    return cfg if is_encoder else build_part(cfg, 'text encoder', TEXT_ENCODERS)


def build_classifier_source(cfg: Any) -> Any:
    """Build a classifier source from a config dict whose ``encoder`` may be a dict as well.

    Args:
        cfg: e.g. ``dict(type='TextClassifier', class_names='kinetics400', encoder=dict(type='CLIPTextEncoder', ...))``;
            an object that can ``build`` is returned as it is.

    Raises:
        UserError: an unknown type or argument; the nearest names are listed.
    """
    if callable(getattr(cfg, 'build', None)) and not isinstance(cfg, Mapping):
        return cfg
    if isinstance(cfg, Mapping) and cfg.get('encoder') is not None:
        cfg = {**cfg, 'encoder': build_text_encoder(cfg['encoder'])}
    return build_part(cfg, 'classifier source', CLASSIFIER_SOURCES)
