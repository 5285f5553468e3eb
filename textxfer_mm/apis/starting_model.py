"""The model of a config as training finds it: pre-trained weights, and nothing that is still random."""

import copy
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import BaseModule
from mmengine.runner import load_checkpoint
from torch import nn

from textxfer_mm.engine.checkpoint import load_checkpoint_file, load_fully, state_of
from textxfer_mm.engine.classes import classifier_of, head_of
from textxfer_mm.engine.frameworks import head_module, head_name
from textxfer_mm.errors import UserError
from textxfer_mm.layers.lazy import LazyWeights
from textxfer_mm.layers.projections import LinearProjection, MLPProjection
from textxfer_mm.registry import MODELS


def starting_model(cfg: Config, checkpoint: str | Path | None = None) -> tuple[nn.Module, str]:
    """The recognizer, and the stage whose features are to be taken: ``'neck'`` if that was trained, or ``'backbone'``.

    Raises:
        UserError: The features would come out of an untrained projection, or the checkpoint does not fit.
    """
    model_cfg = copy.deepcopy(cfg.model)
    head, source = head_of(dict(model=model_cfg)), classifier_of(dict(model=model_cfg))
    if isinstance(source, dict) and source.get('type') == 'LDAClassifier' and head.get('projection') is None:
        source.setdefault(
            'embed_dims', head.get('embed_dims') or head.get('in_channels')
        )  # the file is still to be made
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed((cfg.get('randomness') or {}).get('seed') or 0)  # what is random is so equally on all ranks
        model = MODELS.build(model_cfg)
        projection = getattr(head_module(model), 'projection', None)
        if not checkpoint:
            for part in (model.backbone, projection):
                if isinstance(part, LazyWeights):
                    part.ensure_weights()
                elif isinstance(part, BaseModule):
                    part.init_weights()
    state = _load(model, checkpoint, cfg.get('load_from'))
    loaded = {'.'.join(key.split('.')[:2]) for key in state}
    if isinstance(projection, LinearProjection | MLPProjection) and f'{head_name(model)}.projection' not in loaded:
        raise UserError(
            'The features would come out of a projection that is not trained yet. Leave the `projection` of the head '
            'out (an LDAClassifier is as wide as its features), or give a checkpoint.'
        )
    return model, 'neck' if any(part.startswith('neck.') for part in loaded) else 'backbone'


def _load(model: nn.Module, checkpoint: str | Path | None, load_from: str | None) -> dict[str, Any]:
    """Load a checkpoint entirely, or what the config starts from as MMEngine's runner does; return the weights."""
    if checkpoint:
        state = state_of(load_checkpoint_file(checkpoint), checkpoint)
        load_fully(model, dict(state), checkpoint)
        return state
    if load_from:
        return state_of(load_checkpoint(model, load_from, map_location='cpu'), load_from)
    return {}
