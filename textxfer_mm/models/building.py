"""Registers the classifier sources and text encoders, and builds them from a config."""

import inspect
from collections.abc import Mapping
from typing import Any

from textxfer_mm.classifiers.drawn import OrthogonalClassifier, RandomClassifier
from textxfer_mm.classifiers.lda import LDAClassifier
from textxfer_mm.classifiers.sources import FileClassifier, TextClassifier
from textxfer_mm.errors import UserError, nearest
from textxfer_mm.registry import MODELS
from textxfer_mm.text.clip_encoder import CLIPTextEncoder
from textxfer_mm.text.language_encoder import LanguageModelEncoder

_SOURCES = (FileClassifier, LDAClassifier, OrthogonalClassifier, RandomClassifier, TextClassifier)
_ENCODERS = (CLIPTextEncoder, LanguageModelEncoder)
CLASSIFIER_SOURCES = tuple(module.__name__ for module in _SOURCES)
TEXT_ENCODERS = tuple(module.__name__ for module in _ENCODERS)

for _module in (*_SOURCES, *_ENCODERS):
    MODELS.register_module(module=_module)


def build_part(cfg: Mapping[str, Any], kind: str, known: tuple[str, ...]) -> Any:
    """Instantiate ``cfg['type']``.

    Args:
        cfg: ``type`` and the arguments.
        kind: what it is, for messages.
        known: names to suggest.

    Raises:
        UserError: no config dict, an unknown type, unknown or missing arguments.
    """
    if not isinstance(cfg, Mapping):
        raise UserError(f'A {kind} is given as dict(type=..., ...), got {cfg!r}.{nearest("", known)}')
    args = {key: value for key, value in cfg.items() if key != '_scope_'}  # MMEngine marks inherited configs with it
    name = args.pop('type', None)
    if name is None:
        raise UserError(f'A {kind} needs a `type`, got {dict(cfg)}.{nearest("", known)}')
    module = MODELS.get(name) if isinstance(name, str) else name
    if module is None:
        raise UserError(f'Unknown {kind} {name!r}.{nearest(name, known)}')
    parameters = inspect.signature(module).parameters
    for key in args:
        if key not in parameters and not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            raise UserError(f'{module.__name__} takes no argument {key!r}.{nearest(key, parameters)}')
    missing = [
        key
        for key, p in parameters.items()
        if p.default is p.empty and key not in args and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    ]
    if missing:
        raise UserError(f'{module.__name__} needs the argument(s) {", ".join(missing)}.')
    return module(**args)


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
