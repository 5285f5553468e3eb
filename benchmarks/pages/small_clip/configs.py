"""How large the runs of the page are, and what they all change in the shipped configs."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from harness.towers import TOWER, WEIGHTS, Tower
from harness.training import Experiment
from mmengine.config import Config
from mmengine.registry import init_default_scope

from pages.unified_ratios.configs import Scale as UnifiedScale
from textxfer_mm.datasets.scene_datasets import scene_class_names
from textxfer_mm.registry import DATASETS

PRETRAINING = 'rendered_scenes/clip_rn-w16_2xb64-8e_rendered-scenes.py'
UNIFIED = 'iclip/iclip_clip-rn-w16_2xb64-8e_rendered-scenes.py'
DOWNSTREAM = 'rendered_scenes/text4vis_clip-rn-w16_tap_1xb8-u8-1e_rendered-scenes.py'
#: The classes of a run: 60 that differ in one frame, and 10 that differ in motion only.
KINDS = ('seen', 'motion')
#: A vision transformer of about the same cost, for TokenT1D.
VIT = dict(image_size=64, layers=4, width=96, head_width=32, patch_size=8)


@dataclass(frozen=True)
class Scale:
    """How large the runs are; the defaults are those of the published page.

    Attributes:
        captions: Captioned stills that towers are pre-trained on.
        passes: Passes over them.
        validation: Clips of each of the 60 classes by which pre-trainings are validated.
        train: Training clips a class.
        test: Test clips a class.
        unseen: Test clips of each unseen class.
        batch: Clips a step, over all ranks.
        passes_downstream: Passes over the training clips.
        lr: Learning rate of the encoder, in regime (i).
        new: Factor on the rate of what is new.
        init_scale: Scale of the cosines at the start: what the pre-training of the main tower ended at.
    """

    captions: int = 40_000
    passes: int = 8
    validation: int = 8
    train: int = 20
    test: int = 16
    unseen: int = 20
    batch: int = 8
    passes_downstream: int = 1
    lr: float = 3e-4
    new: float = 10.0
    init_scale: float = 22.0


def adapt(cfg: Config, scale: Scale) -> None:
    """Bring the shipped config of a training to a scale."""
    names, weights = scene_class_names(*KINDS), f'{TOWER}/{WEIGHTS}'
    cfg.class_names, cfg.unseen_class_names = names, scene_class_names('unseen')
    cfg.supervised = f'{TOWER}/epoch_{scale.passes}.pth'
    cfg.model.backbone.pretrained = weights
    cfg.model.cls_head.init_scale = scale.init_scale
    cfg.model.cls_head.classifier.class_names = names
    cfg.model.cls_head.classifier.encoder.pretrained = weights
    per_class = dict(train=scale.train, val=scale.test, test=scale.unseen)
    for split, kinds in (('train', KINDS), ('val', KINDS), ('test', ('unseen',))):
        loader = cfg[f'{split}_dataloader']
        loader.update(batch_size=scale.batch, num_workers=0, persistent_workers=False)
        loader.pop('worker_init_fn', None)  # there are no workers
        loader.dataset.update(kinds=kinds, per_class=per_class[split], seed=cfg.randomness.seed)
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=scale.passes_downstream, val_interval=1000)
    set_rate(cfg, scale.lr, scale.new)
    for schedule in cfg.param_scheduler[1:]:
        schedule.end = scale.passes_downstream
    cfg.custom_hooks = [dict(type='EpochSeedHook')]
    cfg.default_hooks.checkpoint = None
    cfg.log_processor.window_size = 1


def set_rate(cfg: Config, lr: float, new: float) -> None:
    """One rate for the encoder and the scale, another for what is new."""
    cfg.optim_wrapper.optimizer.lr = lr * new
    cfg.optim_wrapper.paramwise_cfg = dict(
        custom_keys={name: dict(lr_mult=1 / new) for name in ('backbone.visual', 'class_rows.tower', 'logit_scale')}
    )


def vision_transformer(cfg: Config) -> None:
    """The architecture of the tower ``vit``, in its pre-training and in what starts from it."""
    cfg.model.backbone.arch.vision_cfg = VIT
    cfg.model.cls_head.classifier.encoder.arch.vision_cfg = VIT


def datasets_of(cfg: Config) -> list[Any]:
    """The configs of all datasets of scenes."""
    found, left = [], [cfg[f'{split}_dataloader'].dataset for split in ('train', 'val', 'test')]
    while left:
        one = left.pop()
        found += [one] if 'cache_dir' in one else []
        left += [one.dataset] if 'dataset' in one else []
    return found


def prepare(root: Path, seed: int, scale: Scale, say: Callable[[str], None], experiment: Experiment) -> Path:
    """Render the clips of a seed into the cache that the configs name, unless they are there.

    Args:
        root: Folder that remembers what was rendered.
        seed: The seed.
        scale: How many there are.
        say: Told what is done.
        experiment: Gives the config of a run.

    Returns:
        ``root``.
    """
    done = root / f'seed{seed}-{scale.train}-{scale.test}-{scale.unseen}'
    if not done.exists():
        say(f'seed {seed}: rendering its clips')
        cfg = experiment.config(next(iter(experiment.settings)), seed)
        init_default_scope(cfg.default_scope)
        for dataset in datasets_of(cfg):
            DATASETS.build(dataset)[0]
        root.mkdir(parents=True, exist_ok=True)
        done.touch()
    return root


def towers(scale: Scale) -> list[Tower]:
    """The pre-trainings of the page, on two processes."""

    def tower(name: str, edit: Callable[[Config], None] = lambda cfg: None, **options: Any) -> Tower:
        return Tower(name, PRETRAINING, lambda cfg: (_pretraining(cfg, scale), edit(cfg))[0], ranks=2, **options)

    return [
        tower('main'),
        tower('second', seed=1),
        tower('shuffled', _shuffled),
        tower('twin', partial(_supervised, scale=scale), weights=f'epoch_{scale.passes}.pth'),
        tower('vit', vision_transformer),
        Tower('iclip', UNIFIED, partial(_unified, scale=scale), ranks=2),
    ]


def _pretraining(cfg: Config, scale: Scale) -> None:
    """Bring the shipped pre-training to a scale; its batch is that of all processes."""
    loader = _on_one_worker(cfg, scale)
    loader.pop('worker_init_fn')
    loader.dataset.update(length=scale.captions, seed=1000 + cfg.randomness.seed)
    cfg.val_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.val_dataloader.dataset.update(seed=1000, per_class=scale.validation)


def _on_one_worker(cfg: Config, scale: Scale) -> Any:
    """So many passes without a test, in batches of all processes, which load their stills themselves."""
    cfg.train_cfg.max_epochs = cfg.param_scheduler[1].end = scale.passes
    cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
    loader = cfg.train_dataloader
    loader.update(batch_size=2 * loader.batch_size, num_workers=0, persistent_workers=False)
    return loader


def _unified(cfg: Config, scale: Scale) -> None:
    """Half of the stills with captions, half with the class of their pair, of as many stills in all (iCLIP)."""
    loader, seed = _on_one_worker(cfg, scale), 1000 + cfg.randomness.seed
    loader.sampler.length = scale.captions
    labelled, captioned = (one.dataset for one in loader.dataset.datasets)
    labelled.update(per_class=-(-scale.captions // 2 // len(scene_class_names('captioned'))), seed=seed)
    captioned.update(length=scale.captions // 2, seed=seed)
    cfg.optim_wrapper.optimizer.lr = UnifiedScale().lr
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    cfg.custom_hooks = [hook for hook in cfg.custom_hooks if hook.type != 'InitialValidationHook']


def _shuffled(cfg: Config) -> None:
    """Every still gets the caption of another one."""
    cfg.train_dataloader.dataset.shuffled = True


def _supervised(cfg: Config, scale: Scale) -> None:
    """The same stills with the class of their pair as a label, and no text."""
    cfg.model.cls_head = dict(
        type='I3DHead', num_classes=len(scene_class_names('captioned')), in_channels=128, dropout_ratio=0.0
    )
    data = cfg.train_dataloader.dataset
    data.update(type='SceneClasses', kinds=('captioned',), per_class=-(-scale.captions // 144))
    data.pop('length')
    data.pipeline[-1] = dict(type='PackActionInputs')
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    cfg.custom_hooks = [dict(type='EpochSeedHook')]
