"""The configs that candidates are handed out with: what they are made of, and how they are trained again."""

import copy
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from textxfer_mm.apis.folder_training.lists import loader
from textxfer_mm.apis.folder_training.starting import Starting, why_no_text
from textxfer_mm.apis.model_configs import load_config
from textxfer_mm.datasets.transforms_video import with_exact_decoding
from textxfer_mm.engine.classes import set_class_names
from textxfer_mm.engine.data_checks import innermost_datasets

#: What the packaged model is trained by as a whole.
PACKAGED = 'quickstart/finetune_efficientnet-lite0_minilm.py'
#: Epochs of a recipe; the packaged one says the same.
EPOCHS = 15
#: What takes the place of a crop in the middle.
RANDOM_CROP, FLIP = dict(type='RandomResizedCrop', area_range=(0.4, 1.0)), dict(type='Flip', flip_ratio=0.5)
_CROPS = ('CenterCrop', 'ThreeCrop', 'TenCrop')


def frozen_recipe(
    start: Starting,
    model_cfg: Mapping[str, Any],
    parts: Mapping[str, Any],
    rate: float,
    weights: Path | None = None,
) -> Config:
    """The config of a candidate behind the frozen encoder.

    Args:
        start: What the encoder is made of.
        model_cfg: The config of the encoder.
        parts: The configs of what stands behind its backbone.
        rate: The learning rate of these.
        weights: The weights that training starts from; None where the config of the encoder names them.
    """
    cfg = _base_recipe(start, weights)
    cfg.model = copy.deepcopy(model_cfg)
    for part, made in parts.items():
        cfg.model[part] = copy.deepcopy(made)
    cfg.model.cls_head.setdefault('topk', 1)
    cfg.optim_wrapper.optimizer.lr = rate
    if cfg.model.backbone.type == 'CLIPBackbone':
        cfg.model.backbone.frozen = True
        cfg.model.backbone.pop('frozen_stages', None)
    else:
        cfg.custom_hooks = [*cfg.custom_hooks, dict(type='FrozenPartsHook', parts=['backbone'])]
        cfg.find_unused_parameters = True  # DDP asks for the gradients of the backbone before the hook freezes it
    cfg.train_pipeline = cfg.test_pipeline = start.cfg.test_pipeline
    return cfg


def _base_recipe(start: Starting, weights: Path | None) -> Config:
    """What all recipes share: runtime, schedule, and the weights that they start from."""
    cfg = load_config('_base_/default_runtime.py')
    imports = [*(start.cfg.get('custom_imports') or {}).get('imports', ()), *cfg.custom_imports.imports]
    cfg.merge_from_dict(
        dict(
            default_scope=start.cfg.get('default_scope', 'mmaction'),
            custom_imports=dict(imports=list(dict.fromkeys(imports))),
            train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=EPOCHS, val_interval=1),
            val_cfg=dict(type='ValLoop'),
            test_cfg=dict(type='TestLoop'),
            optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.02)),
            param_scheduler=[dict(type='CosineAnnealingLR', T_max=EPOCHS, by_epoch=True, convert_to_iter_based=True)],
        )
    )
    cfg.load_from = None if weights is None else str(weights.absolute())
    return cfg


def whole_recipe(start: Starting, class_names: Sequence[str], width: int, weights: Path | None = None) -> Config:
    """The config that trains the whole model: encoder and head by two learning rates.

    The packaged model is trained by the base config for own clips, with temporal convolutions in its encoder. A head
    that compares with class names is kept, any other becomes a linear classifier. CLIP's rates are those of Text4Vis.

    Args:
        start: The model.
        class_names: K names.
        width: D of the features that reach the head.
        weights: As in :func:`frozen_recipe`.
    """
    if start.is_packaged:
        cfg = load_config(PACKAGED)
        set_class_names(cfg, class_names)
        cfg.train_pipeline = _without_flips(cfg.train_pipeline, class_names)
        return cfg
    cfg = _base_recipe(start, weights)
    cfg.model = copy.deepcopy(start.cfg.model)
    if why_no_text(start):
        cfg.model.cls_head = linear_head(list(class_names), width)
    elif len(class_names) < 5:
        cfg.model.cls_head.topk = 1
    rate, decay = 1e-3, 0.02
    if cfg.model.backbone.type == 'CLIPBackbone':
        rate, decay = 5e-5, 0.2
        for option in ('frozen', 'frozen_stages'):
            cfg.model.backbone.pop(option, None)
    cfg.optim_wrapper = dict(
        type='OptimWrapper',
        optimizer=dict(type='AdamW', lr=rate, weight_decay=decay),
        paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1), logit_scale=dict(lr_mult=0.1))),
        clip_grad=dict(max_norm=20.0),
    )
    cfg.param_scheduler = [
        dict(type='LinearLR', start_factor=0.01, by_epoch=True, begin=0, end=1, convert_to_iter_based=True),
        dict(cfg.param_scheduler[0], T_max=EPOCHS - 1, begin=1, end=EPOCHS),
    ]
    cfg.test_pipeline = start.cfg.test_pipeline
    cfg.train_pipeline = _without_flips(_training_steps(start.cfg), class_names)
    return cfg


def _training_steps(cfg: Config) -> list[dict[str, Any]]:
    """The steps that a config trains with; of one that has none those of its test, with crops and flips drawn."""
    given = cfg.get('train_dataloader')
    steps = given and next(innermost_datasets(given.dataset)).get('pipeline')
    if steps:
        return with_exact_decoding([dict(step) for step in steps])
    steps = [{key: value for key, value in step.items() if key != 'test_mode'} for step in cfg.test_pipeline]
    crop = RANDOM_CROP
    for place, step in enumerate(steps):
        if step['type'] in _CROPS:
            size = step['crop_size']
            resize = dict(type='Resize', scale=(size, size) if isinstance(size, int) else tuple(size), keep_ratio=False)
            return [*steps[:place], dict(crop), resize, dict(FLIP), *steps[place + 1 :]]
    place = next((n for n, step in enumerate(steps) if step['type'] == 'Resize'), None)
    return steps if place is None else [*steps[:place], dict(crop), steps[place], dict(FLIP), *steps[place + 1 :]]


def _without_flips(steps: Sequence[Mapping[str, Any]], class_names: Sequence[str]) -> list[dict[str, Any]]:
    """Steps that mirror nothing where left and right are different classes."""
    words = {word for name in class_names for word in re.findall(r'[a-z]+', name.lower())}
    return [dict(step) for step in steps if step['type'] != 'Flip' or not words & {'left', 'right'}]


def with_lists(recipe: Config, lists: Mapping[str, Path], seed: int) -> Config:
    """A recipe with the lists of train, val and test, of which the last two may be missing, and a seed."""
    cfg = copy.deepcopy(recipe)
    cfg.randomness = dict(seed=seed)
    for split in ('train', 'val', 'test'):
        if split not in lists:
            cfg[f'{split}_dataloader'] = cfg[f'{split}_cfg'] = cfg[f'{split}_evaluator'] = None
            continue
        steps = cfg.train_pipeline if split == 'train' else cfg.test_pipeline
        cfg[f'{split}_dataloader'] = loader(lists[split], steps, train=split == 'train')
        if split != 'train':
            metric = dict(type='AccMetric', metric_list=('top_k_accuracy', 'mean_class_accuracy'))
            cfg[f'{split}_evaluator'] = dict(metric, metric_options=dict(top_k_accuracy=dict(topk=(1,))))
    return cfg


def linear_head(class_names: list[str], width: int) -> dict[str, Any]:
    """The config of a plain linear classifier: a map to as many numbers as there are classes."""
    classes = dict(type='OneHotClassifier', class_names=class_names, embed_dims=len(class_names))
    cfg = dict(type='TextEmbeddingHead', in_channels=width, embed_dims=len(class_names), classifier=classes)
    cfg |= dict(projection=dict(type='LinearProjection', bias=True), normalize=False)
    return cfg | (dict(topk=1) if len(class_names) < 5 else {})
