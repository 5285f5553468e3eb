"""The model that predicts: built, with its weights, on its device."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import nn

from textxfer_mm import register_all_modules
from textxfer_mm.engine.checkpoint import load_checkpoint_file, load_fully, state_of
from textxfer_mm.engine.classes import set_class_names, set_glosses
from textxfer_mm.engine.data_checks import innermost_datasets
from textxfer_mm.engine.frameworks import enter_scope
from textxfer_mm.errors import UserError, first_line, nearest
from textxfer_mm.registry import MODELS


def choose_device(device: str | None) -> torch.device:
    """The device that was asked for; without one the GPU, where there is one.

    Raises:
        UserError: There is no such kind of device, or none on this machine.
    """
    try:
        target = torch.device(device or ('cuda' if torch.cuda.is_available() else 'cpu'))
        torch.zeros(1, device=target).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        gpus = torch.cuda.device_count()
        known = ['cpu', *(['cuda', *(f'cuda:{i}' for i in range(gpus))] if gpus else [])]
        raise UserError(
            f'device {device} is not available here: {first_line(error)}.{nearest(str(device), known)}'
        ) from error
    return target


def load_recognizer(
    cfg: Config,
    checkpoint: str | Path | None = None,
    *,
    class_names: str | Path | Sequence[str] | None = None,
    glosses: Any = None,
    device: str | None = None,
) -> nn.Module:
    """Build a recogniser, or an image classifier, for prediction.

    Args:
        cfg: A config with ``model``, and ``test_pipeline`` or the dataloader of a test or a validation, whose steps it
            is given as ``test_pipeline`` then.
        checkpoint: A checkpoint file; ``None`` predicts with the pretrained weights that the config names (zero-shot).
        class_names: Other names than those of the config or the checkpoint: zero-shot recognition.
        glosses: Glosses behind the class names, see :func:`~textxfer_mm.engine.classes.set_glosses`.
        device: Where the model runs; ``None`` takes the GPU where there is one.

    Raises:
        UserError: The config, the checkpoint and the names do not fit together.
    """
    if 'model' not in cfg:
        raise UserError('The config needs the variable `model` to predict with.')
    if class_names is not None:
        set_class_names(cfg, class_names, glosses)
    elif glosses is not None:
        set_glosses(cfg, glosses)
    target = choose_device(device)
    register_all_modules()
    enter_scope(cfg)
    model = MODELS.build(cfg.model)
    _name_test_pipeline(cfg)
    if checkpoint is not None:
        load_fully(model, state_of(load_checkpoint_file(checkpoint), checkpoint), checkpoint)
    model.cfg = cfg
    return model.to(target).eval()


def _name_test_pipeline(cfg: Config) -> None:
    """Give a config the variable ``test_pipeline``, if it has none.

    Raises:
        UserError: It has no dataloader to take it from either.
    """
    if cfg.get('test_pipeline'):
        return
    loaders = filter(None, (cfg.get(f'{phase}_dataloader') for phase in ('test', 'val')))
    steps = (part.get('pipeline') for loader in loaders for part in innermost_datasets(loader.get('dataset')))
    cfg.test_pipeline = next(filter(None, steps), None)
    if cfg.test_pipeline is None:
        raise UserError(
            'The config does not say how files are read: it needs the variable `test_pipeline`, or a test_dataloader '
            'or val_dataloader whose dataset has a pipeline.'
        )
