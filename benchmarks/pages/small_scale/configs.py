"""How large the runs of the page are, and what they all change in the quick start's config."""

from dataclasses import dataclass, field
from pathlib import Path

from mmengine.config import Config

from pages.small_scale.data import Clips, DecodedVideos
from textxfer_mm.datasets.toy_actions import SEEN_ACTIONS, UNSEEN_ACTIONS
from textxfer_mm.engine.data_checks import innermost_datasets


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


def adapt(cfg: Config, scale: Scale) -> None:
    """Bring the quick start's config to a scale, on decoded videos; the lists are named without their folder."""
    cfg.custom_imports.imports.append(DecodedVideos.__module__)
    cfg.class_names = list(SEEN_ACTIONS)
    cfg.unseen_class_names = list(UNSEEN_ACTIONS)
    cfg.model.backbone.arch.vision_cfg.image_size = scale.size
    cfg.model.cls_head.classifier.class_names = list(SEEN_ACTIONS)
    _take_decoded_videos(cfg, scale)
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=scale.epochs, val_interval=max(1, scale.epochs) + 1)
    cfg.optim_wrapper.optimizer.lr = scale.lr
    cfg.param_scheduler[1].update(T_max=scale.epochs)
    cfg.custom_hooks = [dict(type='EpochSeedHook')]
    cfg.default_hooks.checkpoint = None
    cfg.log_processor.window_size = 1


def _take_decoded_videos(cfg: Config, scale: Scale) -> None:
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
    cfg.train_dataloader = dict(
        common,
        batch_size=scale.batch,
        sampler=dict(type='DefaultSampler', shuffle=True),
        dataset=dict(type='DecodedVideos', ann_file='train.json', pipeline=train),
    )
    for split, name in (('val', 'val'), ('zero_shot', 'test')):
        dataset = dict(type='DecodedVideos', ann_file=f'{split}.json', pipeline=test, test_mode=True)
        sampler = dict(type='DefaultSampler', shuffle=False)
        cfg[f'{name}_dataloader'] = dict(common, batch_size=16, sampler=sampler, dataset=dataset)


def locate(cfg: Config, data: Path) -> None:
    """Put the folder of the decoded videos before the names of the lists."""
    for name in ('train', 'val', 'test'):
        for dataset in innermost_datasets(cfg[f'{name}_dataloader'].dataset):
            dataset.ann_file = str(data / dataset.ann_file)
