"""The model of a config as training finds it: pre-trained weights, and what is still random."""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import BaseModule
from mmengine.runner import load_checkpoint
from torch import Tensor, nn

from textxfer_mm import register_all_modules
from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.classifiers.class_rows import ClassRows
from textxfer_mm.classifiers.stored_rows import stored_rows
from textxfer_mm.engine.checkpoint import load_checkpoint_file, load_fully, state_of
from textxfer_mm.engine.classes import classifier_of, head_of
from textxfer_mm.engine.frameworks import enter_scope, head_module, head_name
from textxfer_mm.engine.weight_pair import refuse_untrained
from textxfer_mm.errors import UserError
from textxfer_mm.layers.lazy import LazyWeights
from textxfer_mm.layers.projections import LinearProjection, MLPProjection
from textxfer_mm.log_bridge import warnings_only
from textxfer_mm.registry import MODELS


def starting_model(cfg: Config, checkpoint: str | Path | None = None) -> tuple[nn.Module, str]:
    """The recognizer, and the stage whose features are to be taken: ``'neck'`` if that was trained, or ``'backbone'``.

    Its classifier is left as it is built, and may need a file that is still to be made.

    Raises:
        UserError: The features would come out of an untrained projection, or the checkpoint does not fit.
    """
    model_cfg = copy.deepcopy(cfg.model)
    head, source = head_of(dict(model=model_cfg)), classifier_of(dict(model=model_cfg))
    if isinstance(source, dict) and source.get('type') == 'LDAClassifier' and head.get('projection') is None:
        source.setdefault(
            'embed_dims', head.get('embed_dims') or head.get('in_channels')
        )  # the file is still to be made
    seed = (cfg.get('randomness') or {}).get('seed') or 0  # what is random is so equally on all ranks
    if checkpoint:
        model = _built(model_cfg, seed, lambda model: None)
        state = state_of(load_checkpoint_file(checkpoint), checkpoint)
        load_fully(model, dict(state), checkpoint)
    else:
        model = _built(model_cfg, seed, _initialise_features)
        state = _load_from(model, cfg)
    projection = _projection(model)
    loaded = {'.'.join(key.split('.')[:2]) for key in state}
    if isinstance(projection, LinearProjection | MLPProjection) and f'{head_name(model)}.projection' not in loaded:
        raise UserError(
            'The features would come out of a projection that is not trained yet. Leave the `projection` of the head '
            'out (an LDAClassifier is as wide as its features), or give a checkpoint.'
        )
    return model, 'neck' if any(part.startswith('neck.') for part in loaded) else 'backbone'


def starting_backbone(cfg: Config, checkpoint: str | Path | None = None) -> nn.Module:
    """The recognizer without neck and head, as training finds its backbone or as a checkpoint has it.

    Raises:
        UserError: The checkpoint does not fit.
    """
    model_cfg = copy.deepcopy(cfg.model)
    for part in ('neck', 'cls_head', 'head'):
        model_cfg.pop(part, None)
    seed = (cfg.get('randomness') or {}).get('seed') or 0
    if checkpoint is None:
        model = _built(model_cfg, seed, _initialise_features)
        _load_from(model, cfg, logger='silent')
        return model
    model = _built(model_cfg, seed, lambda model: None)
    state = state_of(load_checkpoint_file(checkpoint), checkpoint)
    own = {name: value for name, value in state.items() if name.startswith('backbone.')}
    if not own:
        raise UserError(f'{checkpoint} has no backbone: none of its {len(state)} entries begins with backbone.')
    load_fully(model, own, checkpoint)
    return model


def starting_state(cfg: Config, fine_tuned: Mapping[str, Any]) -> dict[str, Any]:
    """The state dict of the model that the training of a config starts from.

    Args:
        cfg: The config.
        fine_tuned: The state dict of what training made of it; its rows spare encoding the class names.

    Raises:
        UserError: Pre-trained weights are not at hand, or parts of the model have none: they begin at random.
    """
    cfg = copy.deepcopy(cfg)
    prepare_building(cfg)
    states = []
    for seed in (0, 1):
        model = _built(cfg.model, seed, lambda model: _initialise_all(model, fine_tuned))
        _load_from(model, cfg, logger='silent')
        states.append(model.state_dict())
    first, second = states
    drawn = [name for name, value in first.items() if isinstance(value, Tensor) and not value.equal(second[name])]
    if drawn:  # what follows the seed is not pre-trained
        kinds = dict(model.named_modules())
        constant = [name for name, value in first.items() if isinstance(value, Tensor) and _is_constant(value)]
        refuse_untrained(
            *(drawn, first, "The config's pre-trained weights do not hold"),
            lambda path: type(kinds[path]).__name__ if path in kinds else '',
            beside=constant,
        )
    return first


def prepare_building(cfg: Config) -> None:
    """Register everything, for a config that is about to be built.

    Raises:
        UserError: It has no model.
    """
    if 'model' not in cfg:
        raise UserError('The config has no `model`.')
    register_all_modules()
    enter_scope(cfg)


def _built(model_cfg: Mapping[str, Any], seed: int, initialise: Callable[[nn.Module], None]) -> nn.Module:
    """Build and initialise a model by a seed of its own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MODELS.build(model_cfg)
        initialise(model)
    return model


def _initialise_features(model: nn.Module) -> None:
    """Initialise what makes features, and nothing behind it."""
    for part in (model.backbone, _projection(model)):
        if isinstance(part, LazyWeights):
            part.ensure_weights()
        elif isinstance(part, BaseModule):
            part.init_weights()


def _initialise_all(model: nn.Module, fine_tuned: Mapping[str, Any]) -> None:
    """Initialise a model as training does, with the frozen rows of a state dict where it has the same classes."""
    for prefix, rows in stored_rows(fine_tuned).items():
        module = dict(model.named_modules()).get(prefix.rstrip('.'))
        if isinstance(module, ClassRows) and module.frozen and module.embed_dims == rows.weight.shape[1]:
            labels = dict(class_names=rows.class_names, templates=rows.templates, encoder_id=rows.encoder_id)
            labels |= dict(glosses=rows.glosses)
            module.replace(ClassifierBundle.from_rows(rows.weight, **labels))
    with warnings_only():  # MMEngine lists how each tensor was initialised
        model.init_weights()


def _load_from(model: nn.Module, cfg: Config, **options: Any) -> dict[str, Any]:
    """Load ``load_from`` of a config as MMEngine's runner does; return its weights, or nothing without it."""
    if not cfg.get('load_from'):
        return {}
    return state_of(load_checkpoint(model, cfg.load_from, map_location='cpu', **options), cfg.load_from)


def _projection(model: nn.Module) -> Any:
    """The projection of the head, where there is one."""
    return getattr(head_module(model), 'projection', None)


def _is_constant(tensor: Tensor) -> bool:
    """Whether all numbers are equal, as in the biases and norms of a module that begins untrained."""
    return bool((tensor == tensor.flatten()[:1]).all())
