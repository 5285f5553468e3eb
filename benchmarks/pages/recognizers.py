"""Trained recognizers as the pages measure them."""

from pathlib import Path

import torch
from mmengine.config import Config
from torch import nn

from textxfer_mm.apis import load_recognizer


def with_unseen_classes(model: nn.Module, cfg: Config) -> nn.Module:
    """The same recognizer for the names of the unseen classes, as a user would test its checkpoint with other names.

    Rows that were trained stay with their classes: the unseen ones get the rows of their text.
    """
    checkpoint = Path(cfg.work_dir) / 'trained.pth'
    torch.save(dict(state_dict=model.state_dict()), checkpoint)
    cfg = Config(dict(cfg.to_dict(), test_pipeline=cfg.test_dataloader.dataset.pipeline))
    if not cfg.model.cls_head.get('frozen', True):
        cfg.model.cls_head.frozen = True
    return load_recognizer(cfg, checkpoint, class_names=list(cfg.unseen_class_names), device='cpu')
