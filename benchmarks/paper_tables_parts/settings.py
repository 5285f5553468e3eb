"""The settings that are trained, as full configs made from the quick start's, and the key of each run."""

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mmengine.config import Config

from paper_tables_parts.data import Clips
from textxfer_mm.apis.model_configs import load_config
from textxfer_mm.datasets.toy_actions import SEEN_ACTIONS, UNSEEN_ACTIONS, files
from textxfer_mm.quickstart import CONFIG

#: Raised when the same config would give another result.
RECIPE = 1

#: What of a config a result depends on; where the log goes, for one, is not among it.
KEYED = (
    'model',
    'lda_encoder',
    'unseen_class_names',
    'train_dataloader',
    'val_dataloader',
    'test_dataloader',
    'train_cfg',
    'optim_wrapper',
    'param_scheduler',
    'custom_hooks',
    'randomness',
)

#: Where the classifier of an LDA setting finds its features; replaced by a file of the run.
LDA_FEATURES = 'lda.safetensors'


@dataclass(frozen=True)
class Scale:
    """How large the runs are; the defaults are those of the published page.

    Attributes:
        clips: How many videos there are.
        size: Crops of frames, in pixels.
        frames: Frames of a video (T).
        batch: Videos a step, over all ranks.
        epochs: Passes over the training videos; 0 tests without training.
        lr: Learning rate.
    """

    clips: Clips = field(default_factory=Clips)
    size: int = 64
    frames: int = 8
    batch: int = 8
    epochs: int = 2
    lr: float = 2e-3


@dataclass(frozen=True)
class Setting:
    """One row of a table.

    Attributes:
        name: Short name, part of file names.
        title: What a table calls it.
        edit: Changes the config of the quick start.
        fraction: Share of the labels; the videos are repeated so that every setting takes the same number of steps.
        ranks: Processes that train together.
        scale: Changes of the scale, by field.
        zero_shot: Whether its classifier can be given the names of unseen classes.
        lda: Whether its classifier is made from features of the encoder before training.
    """

    name: str
    title: str
    edit: Callable[[Config], None]
    fraction: float = 1.0
    ranks: int = 1
    scale: dict[str, Any] = field(default_factory=dict)
    zero_shot: bool = True
    lda: bool = False


def make_config(setting: Setting, seed: int, scale: Scale) -> Config:
    """The whole config of a run; the lists of videos are named relative to the folder of the data."""
    cfg = load_config(CONFIG)
    cfg.class_names = list(SEEN_ACTIONS)
    cfg.unseen_class_names = list(UNSEEN_ACTIONS)
    cfg.model.backbone.arch.vision_cfg.image_size = scale.size
    cfg.model.cls_head.classifier.class_names = list(SEEN_ACTIONS)
    _data(cfg, setting, seed, scale)
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=scale.epochs, val_interval=max(1, scale.epochs) + 1)
    cfg.optim_wrapper.optimizer.lr = scale.lr
    cfg.param_scheduler[1].update(T_max=scale.epochs)
    cfg.custom_hooks = [dict(type='EpochSeedHook')]
    cfg.default_hooks.checkpoint = None
    cfg.log_processor.window_size = 1
    cfg.randomness = dict(seed=seed)
    setting.edit(cfg)
    return cfg


def _data(cfg: Config, setting: Setting, seed: int, scale: Scale) -> None:
    """Point the dataloaders at decoded videos; the steps after decoding are the quick start's."""
    picked = dict(type='ArrayDecode')
    end = [dict(type='FormatShape', input_format='NCTHW'), dict(type='PackActionInputs')]
    train = [dict(type='UniformSample', clip_len=scale.frames), picked, dict(type='RandomCrop', size=scale.size), *end]
    test = [
        dict(type='UniformSample', clip_len=scale.frames, test_mode=True),
        picked,
        dict(type='CenterCrop', crop_size=scale.size),
        *end,
    ]
    common = dict(num_workers=0, persistent_workers=False)
    videos = dict(type='DecodedVideos', ann_file='train.json', pipeline=train)
    if setting.fraction < 1:
        drawn = dict(type='LabelFractionDataset', fraction=setting.fraction, seed=seed, dataset=videos)
        videos = dict(type='RepeatDataset', times=round(1 / setting.fraction), dataset=drawn)
    cfg.train_dataloader = dict(
        common,
        batch_size=scale.batch // setting.ranks,
        sampler=dict(type='DefaultSampler', shuffle=True),
        dataset=videos,
    )
    for split, name in (('val', 'val'), ('zero_shot', 'test')):
        dataset = dict(type='DecodedVideos', ann_file=f'{split}.json', pipeline=test, test_mode=True)
        sampler = dict(type='DefaultSampler', shuffle=False)
        cfg[f'{name}_dataloader'] = dict(common, batch_size=16, sampler=sampler, dataset=dataset)


def at_scale(setting: Setting, scale: Scale) -> Scale:
    """The scale of one setting."""
    return replace(scale, **setting.scale)


def key_of(cfg: Config, setting: Setting, scale: Scale) -> str:
    """Hash of all that a run's result depends on: config, videos, ranks and the version of this recipe."""
    config = {key: value for key, value in cfg.to_dict().items() if key in KEYED}
    parts = [RECIPE, files.FORMAT, asdict(scale.clips), setting.ranks, setting.zero_shot, setting.lda, config]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:12]


def located(cfg: Config, data: Path) -> Config:
    """A copy of the config whose lists lie in a folder."""
    cfg = copy.deepcopy(cfg)
    for name in ('train', 'val', 'test'):
        dataset = cfg[f'{name}_dataloader'].dataset
        while 'dataset' in dataset:
            dataset = dataset.dataset
        dataset.ann_file = str(data / dataset.ann_file)
    return cfg
