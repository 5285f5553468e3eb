"""How large the runs are, and what they all change in the quick start's config."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from pages.multi_dataset.vocabularies import CLIPS, TOYS, names_of
from pages.small_scale.data import DecodedVideos
from textxfer_mm.engine.data_checks import innermost_datasets


@dataclass(frozen=True)
class Scale:
    """How large the runs are; the defaults are those of the published page.

    Attributes:
        train: Training videos of each class of a toy dataset.
        val: Test videos of each class of a toy dataset.
        size: Crops of frames, in pixels.
        frames: Frames of a video (T).
        batch: Videos a step.
        epochs: Passes over the training videos; 0 tests without training.
        lr: Learning rate of joint training with a classifier for each dataset.
        single_lr: That of training on one dataset with its classifier.
        text_lr: That of models in a text space.
    """

    train: int = 8
    val: int = 20
    size: int = 64
    frames: int = 8
    batch: int = 12
    epochs: int = 8
    lr: float = 2e-3
    single_lr: float = 4e-3
    text_lr: float = 4e-3


def adapt(cfg: Config, scale: Scale) -> None:
    """Bring the quick start's config to a scale, on decoded videos of all datasets; rows say which they keep."""
    cfg.custom_imports.imports.append(DecodedVideos.__module__)
    cfg.model.backbone.arch.vision_cfg.image_size = scale.size
    _take_datasets(cfg, scale)
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=scale.epochs, val_interval=scale.epochs + 1)
    cfg.rates = dict(joint=scale.lr, single=scale.single_lr, text=scale.text_lr)
    cfg.param_scheduler[1].update(T_max=scale.epochs)
    cfg.custom_hooks = [dict(type='EpochSeedHook')]
    cfg.default_hooks.checkpoint = None
    cfg.log_processor.window_size = 1


def _take_datasets(cfg: Config, scale: Scale) -> None:
    """Training on a mixture in proportion to the lengths; tests of one dataset after the other; zero-shot on one."""
    end = [dict(type='FormatShape', input_format='NCTHW'), dict(type='PackActionInputs')]
    picked = [dict(type='UniformSample', clip_len=scale.frames), dict(type='ArrayDecode')]
    train = [*picked, dict(type='RandomCrop', size=scale.size), *end]
    centre = dict(type='CenterCrop', crop_size=scale.size)
    test = [dict(picked[0], test_mode=True), picked[1], centre, *end]
    common = dict(num_workers=0, persistent_workers=False)

    def listed(name: str, split: str) -> dict[str, Any]:
        pipeline = train if split == 'train' else test
        return dict(
            type='DecodedVideos', ann_file=f'{name}/{split}.json', pipeline=pipeline, test_mode=split != 'train'
        )

    def together(split: str) -> dict[str, Any]:
        tagged = [
            dict(type='TaggedDataset', name=name, class_names=names_of(name), dataset=listed(name, split))
            for name in (*TOYS, CLIPS)
        ]
        return dict(type='MultiDataset', datasets=tagged)

    shuffled, in_order = (dict(type='DefaultSampler', shuffle=shuffle) for shuffle in (True, False))
    cfg.train_dataloader = dict(common, batch_size=scale.batch, sampler=shuffled, dataset=together('train'))
    each = dict(type='OneDatasetBatchSampler')
    cfg.val_dataloader = dict(common, batch_size=20, sampler=in_order, batch_sampler=each, dataset=together('val'))
    cfg.test_dataloader = dict(common, batch_size=20, sampler=in_order, dataset=listed(TOYS[-1], 'val'))
    cfg.unseen_class_names = names_of(TOYS[-1])


def keep_datasets(cfg: Config, names: tuple[str, ...]) -> None:
    """Train and test on some datasets alone."""
    for split in ('train', 'val'):
        whole = cfg[f'{split}_dataloader'].dataset
        whole.datasets = [one for one in whole.datasets if one.name in names]


def datasets_of(cfg: Config) -> tuple[str, ...]:
    """The datasets that a run trains on."""
    return tuple(one.name for one in cfg.train_dataloader.dataset.datasets)


def locate(cfg: Config, data: Path) -> None:
    """Put the folders before the names of the lists: the clips are the same for all seeds and lie beside theirs."""
    for split in ('train', 'val', 'test'):
        for dataset in innermost_datasets(cfg[f'{split}_dataloader'].dataset):
            folder = data.parent if dataset.ann_file.startswith(f'{CLIPS}/') else data
            dataset.ann_file = str(folder / dataset.ann_file)
