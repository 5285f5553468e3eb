"""The winner as files: one checkpoint that needs nothing else, and the config that it belongs to."""

import copy
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import nn

from textxfer_mm.apis.feature_cache.encoder import FrameEncoder
from textxfer_mm.apis.folder_training.base import PROTOTYPES, Encoder, loader
from textxfer_mm.apis.model_configs import load_config
from textxfer_mm.engine.checkpoint import write_checkpoint
from textxfer_mm.engine.frameworks import in_scope
from textxfer_mm.files import write_text

CHECKPOINT, CONFIG = 'model.pth', 'config.py'
#: How the head is trained by gradient, by who goes on from the config.
_EPOCHS = 15


def whole_config(encoder: Encoder, head_cfg: dict[str, Any], lists: dict[str, Path], seed: int) -> Config:
    """The config of the winner: model, lists and a recipe to go on with.

    Args:
        encoder: The encoder.
        head_cfg: The config of its head.
        lists: The list of each of train, val and test.
        seed: The seed.
    """
    cfg = load_config('_base_/default_runtime.py')
    model = copy.deepcopy(encoder.model_cfg)
    model.cls_head = copy.deepcopy(head_cfg)
    model.cls_head.setdefault('topk', 1)
    if model.backbone.type == 'CLIPBackbone':
        model.backbone.frozen = True
        model.backbone.pop('frozen_stages', None)
    pipeline = encoder.start.cfg.test_pipeline
    imports = [*(encoder.start.cfg.get('custom_imports') or {}).get('imports', ()), *cfg.custom_imports.imports]
    cfg.merge_from_dict(
        dict(
            default_scope=encoder.start.cfg.get('default_scope', 'mmaction'),
            custom_imports=dict(imports=list(dict.fromkeys(imports))),
            train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=_EPOCHS, val_interval=1),
            val_cfg=dict(type='ValLoop'),
            test_cfg=dict(type='TestLoop'),
            optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.02)),
            param_scheduler=[dict(type='CosineAnnealingLR', T_max=_EPOCHS, by_epoch=True, convert_to_iter_based=True)],
            randomness=dict(seed=seed),
        )
    )
    cfg.model, cfg.test_pipeline = model, pipeline
    for split, file in lists.items():
        cfg[f'{split}_dataloader'] = loader(file, pipeline, train=split == 'train')
    metric = dict(type='AccMetric', metric_list=('top_k_accuracy', 'mean_class_accuracy'))
    cfg.val_evaluator = cfg.test_evaluator = dict(metric, metric_options=dict(top_k_accuracy=dict(topk=(1,))))
    return cfg


def hand_out(encoder: Encoder, head: nn.Module, cfg: Config, out: Path, header: str) -> Path:
    """Write ``model.pth`` and ``config.py``; return the checkpoint.

    Args:
        encoder: What gives the features.
        head: The fitted head.
        cfg: Its config, see :func:`whole_config`.
        out: The folder.
        header: What the config begins with, as comments.
    """
    if cfg.model.cls_head.classifier.type == 'FileClassifier':
        head.class_rows.bundle().save(out / PROTOTYPES)
    with in_scope(cfg):
        frames = FrameEncoder(encoder.start.cfg, encoder.start.checkpoint, torch.device('cpu'))
    neck = getattr(encoder.model, 'neck', None)
    parts = dict(backbone=frames.backbone, neck=neck, cls_head=head)
    state = {
        f'{part}.{name}': value
        for part, module in parts.items()
        if module is not None
        for name, value in module.state_dict().items()
    }
    text = cfg.pretty_text
    write_checkpoint(out / CHECKPOINT, dict(meta=dict(cfg=text), state_dict=state))
    comments = ''.join(f'# {line}'.rstrip() + '\n' for line in header.splitlines())
    write_text(out / CONFIG, f'{comments}{text}')
    return out / CHECKPOINT
