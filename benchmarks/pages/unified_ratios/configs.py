"""How large the runs are, and what they all change in the shipped config of iCLIP on rendered scenes."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.training import Experiment
from mmengine.config import Config
from mmengine.registry import init_default_scope

from pages.unified_ratios.words import texts
from textxfer_mm.datasets.scene_datasets import PAIRS
from textxfer_mm.engine.data_checks import innermost_datasets
from textxfer_mm.registry import DATASETS

BASE = 'iclip/iclip_clip-rn-w16_2xb64-8e_rendered-scenes.py'
#: Longer than the config's 24 tokens: a name and its definition.
CONTEXT = 40
#: The classes that have labels; the others are tested without.
LABELLED, UNSEEN = 'seen', 'unseen'


@dataclass(frozen=True)
class Scale:
    """How large the runs are; the defaults are those of the published page.

    Attributes:
        stills: Stills that a run trains on, captioned and labelled ones together; a multiple of the labelled classes.
        passes: Passes over them.
        batch: Stills a step.
        warmup: Steps of linear warm-up.
        test: Test stills of each labelled class.
        unseen: Test stills of each unseen class.
        captions: Captioned test stills.
        lr: Learning rate of mixtures.
        captions_lr: That of captions alone.
        labels_lr: That of labels alone.
    """

    stills: int = 24_000
    passes: int = 3
    batch: int = 64
    warmup: int = 75
    test: int = 16
    unseen: int = 40
    captions: int = 500
    lr: float = 3e-4
    captions_lr: float = 6e-4
    labels_lr: float = 6e-4


def adapt(cfg: Config, scale: Scale) -> None:
    """Bring the shipped config to a scale, half and half and with bare names; rows say what they change."""
    for arch in (cfg.model.backbone.arch, cfg.model.cls_head.classifier.encoder.arch):
        arch.text_cfg.context_length = CONTEXT
    set_texts(cfg, 'names', 'glosses')
    _take_datasets(cfg, scale)
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=scale.passes, val_interval=scale.passes + 1)
    cfg.rates = dict(mixed=scale.lr, captions=scale.captions_lr, labels=scale.labels_lr)
    cfg.param_scheduler[0].end = scale.warmup
    cfg.param_scheduler[1].end = scale.passes
    cfg.custom_hooks = [dict(type='EpochSeedHook')]
    cfg.default_hooks.checkpoint = None
    cfg.log_processor.window_size = 1


def set_texts(cfg: Config, own: str, other: str) -> None:
    """Train and test with the texts of one way, and test with those of another one, too."""
    cfg.texts = dict(own=own, other=other)
    names, glosses = texts(own, LABELLED)
    cfg.model.cls_head.classifier.update(class_names=names, glosses=glosses)


def set_share(cfg: Config, captions: int) -> None:
    """Train on so many captioned stills of 100; the others are labelled, and every batch has these shares.

    Larger shares contain the stills of the smaller ones.
    """
    labelled, captioned = cfg.train_dataloader.dataset.datasets
    share = captions / 100
    whole = captioned.dataset.length
    captioned.dataset.indices = round(share * whole)
    if 0 < captions < 100:
        seed = cfg.randomness.seed
        labelled.dataset = dict(type='LabelFractionDataset', fraction=1 - share, seed=seed, dataset=labelled.dataset)
    kept = {name: ratio for name, ratio in (('labelled', 100 - captions), ('captioned', captions)) if ratio}
    cfg.train_dataloader.dataset.datasets = [one for one in (labelled, captioned) if one.name in kept]
    cfg.train_dataloader.sampler.ratios = kept
    kind = {0: 'labels', 100: 'captions'}.get(captions, 'mixed')
    cfg.optim_wrapper.optimizer.lr = cfg.rates[kind]


def _take_datasets(cfg: Config, scale: Scale) -> None:
    """The lists of training, all of each kind, and those of testing, which are no loaders of MMEngine's."""
    seed, classes = cfg.randomness.seed, len(PAIRS[LABELLED])
    train = cfg.train_dataloader
    train.update(batch_size=scale.batch, num_workers=0, persistent_workers=False)
    train.sampler.length = scale.stills
    labelled, captioned = (one.dataset for one in train.dataset.datasets)
    labelled.update(kinds=(LABELLED,), per_class=scale.stills // classes, seed=seed)
    captioned.update(length=scale.stills, seed=seed)
    size, centre = captioned.size, cfg.val_dataloader.dataset.pipeline[2]
    pipeline = [
        dict(type='UniformSample', clip_len=1, test_mode=True),
        dict(type='ArrayDecode'),
        centre,
        *captioned.pipeline[-2:],
    ]
    shared = dict(split='test', seed=seed, size=size, cache_dir=None, pipeline=pipeline, test_mode=True)

    def listed(kind: str, per_class: int) -> dict[str, Any]:
        return dict(type='SceneClasses', kinds=(kind,), per_class=per_class, **shared)

    cfg.tests = {
        LABELLED: listed(LABELLED, scale.test),
        UNSEEN: listed(UNSEEN, scale.unseen),
        'captions': dict(type='CaptionedScenes', length=scale.captions, **shared),
    }
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None


def scenes_of(cfg: Config) -> list[Any]:
    """The configs of all datasets of scenes."""
    return [*innermost_datasets(cfg.train_dataloader.dataset), *cfg.tests.values()]


def locate(cfg: Config, data: Path) -> None:
    """Let all datasets read what was rendered."""
    for dataset in scenes_of(cfg):
        dataset.cache_dir = str(data)


def prepare(root: Path, seed: int, scale: Scale, say: Callable[[str], None], experiment: Experiment) -> Path:
    """Render the stills of a seed on all cores, unless they are there.

    Args:
        root: Where the folders of the seeds are.
        seed: The seed.
        scale: How many there are.
        say: Told what is done.
        experiment: Gives the config of a run; that of a mixture has all lists.

    Returns:
        The folder of the stills.
    """
    folder = root / f'seed{seed}-{scale.stills}-{scale.test}-{scale.unseen}-{scale.captions}'
    if not (folder / 'done').exists():
        say(f'seed {seed}: rendering its stills')
        cfg = experiment.config('captions-50', seed)
        locate(cfg, folder)
        init_default_scope(cfg.default_scope)
        for dataset in scenes_of(cfg):
            DATASETS.build(dataset).fill_cache(processes=len(os.sched_getaffinity(0)))
        (folder / 'done').touch()
    return folder
