"""Trained recognizers as the pages measure them."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from mmengine.config import Config
from torch import nn

from textxfer_mm.apis import load_recognizer, sweep
from textxfer_mm.apis.interpolation import Interpolation
from textxfer_mm.engine.classes import head_of


def saved(model: nn.Module, cfg: Config) -> Path:
    """Save a recognizer in the work dir of its run."""
    checkpoint = Path(cfg.work_dir) / 'trained.pth'
    torch.save(dict(state_dict=model.state_dict()), checkpoint)
    return checkpoint


def between(model: nn.Module, cfg: Config, alphas: Sequence[float]) -> list[dict[str, float]]:
    """Top-1 of the models between before and after training, on the seen and on the unseen classes of a config.

    Args:
        model: The trained recognizer.
        cfg: Its config; the validation has seen classes, the test unseen ones.
        alphas: Shares of the way from before to after.
    """
    config = Path(cfg.work_dir) / 'trained.py'
    cfg.dump(config)
    ends = Interpolation('pretrained', saved(model, cfg), config=config)
    found = sweep(ends, cfg.val_dataloader, cfg.test_dataloader, cfg.unseen_class_names, alphas=alphas, device='cpu')
    return [asdict(point) for point in found.points]


def with_unseen_classes(model: nn.Module, cfg: Config) -> nn.Module:
    """The same recognizer for the names of the unseen classes, as a user would test its checkpoint with other names.

    Rows that were trained stay with their classes: the unseen ones get the rows of their text.
    """
    checkpoint = saved(model, cfg)
    cfg = Config(dict(cfg.to_dict(), test_pipeline=cfg.test_dataloader.dataset.pipeline))
    if not head_of(cfg).get('frozen', True):
        head_of(cfg).frozen = True
    return load_recognizer(cfg, checkpoint, class_names=list(cfg.unseen_class_names), device='cpu')
