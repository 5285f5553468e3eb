"""Changes of a config, from which the rows of the pages are made."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.config import Config

from textxfer_mm.apis import extract_features
from textxfer_mm.classifiers.feature_file import LabelledFeatures
from textxfer_mm.engine.classes import classifier_of, head_of

Edit = Callable[[Config], None]


def edits(*parts: Edit) -> Edit:
    """Several changes in turn."""

    def edit(cfg: Config) -> None:
        for part in parts:
            part(cfg)

    return edit


def head(**options: Any) -> Edit:
    """Options of the head."""
    return lambda cfg: head_of(cfg).update(options)


def text(**options: Any) -> Edit:
    """Options of the text classifier."""
    return lambda cfg: classifier_of(cfg).update(options)


def untrained(cfg: Config) -> None:
    """The model as training finds it."""
    cfg.train_cfg.max_epochs = 0


def vision_only(width: int) -> Edit:
    """A learned linear classifier on the pooled features, which are so wide: MMAction2's stock head."""

    def edit(cfg: Config) -> None:
        cfg.model.cls_head = dict(
            type='I3DHead', num_classes=len(cfg.class_names), in_channels=width, dropout_ratio=0.0, average_clips='prob'
        )

    return edit


def drawn(kind: str, width: int) -> Edit:
    """A frozen classifier of a width that knows nothing of the classes; its seed is the run's."""

    def edit(cfg: Config) -> None:
        head_of(cfg).classifier = dict(
            type=kind, class_names=cfg.class_names, embed_dims=width, seed=cfg.randomness.seed
        )

    return edit


def lda(width: int) -> Edit:
    """A frozen classifier of a width from features of the encoder before training, see :func:`write_lda_features`.

    The covariance is shrunk (Ledoit-Wolf): where features span few of their dimensions, as ConSE's outputs do, the
    solver ``svd`` finds rows of length 1e34 that classify at chance.
    """

    def edit(cfg: Config) -> None:
        cfg.lda_encoder = copy.deepcopy(cfg.model)
        cfg.model.cls_head.classifier = dict(
            type='LDAClassifier',
            class_names=cfg.class_names,
            features='lda.safetensors',
            embed_dims=width,
            solver='lsqr',
            shrinkage='auto',
        )

    return edit


def write_lda_features(cfg: Config, folder: Path) -> None:
    """Write the features of all training videos by the encoder before training: a view each, centred as by ``svd``."""
    encoder = copy.deepcopy(cfg)
    encoder.model = cfg.lda_encoder
    made = extract_features(encoder, per_class=None, device='cpu')
    centred = LabelledFeatures(made.features - made.features.mean(0), made.labels)
    cfg.model.cls_head.classifier.features = str(centred.save(folder / cfg.model.cls_head.classifier.features))


def prompt(cfg: Config) -> None:
    """Four context vectors that are learned (CoOp), shared by the classes."""
    cfg.model.cls_head.update(type='LearnablePromptHead', num_context=4)
    cfg.model.cls_head.classifier.pop('templates', None)


def keep_share(cfg: Config, fraction: float, times: int) -> None:
    """Keep a share of the labels, drawn with the run's seed, and repeat the videos so often."""
    kept = dict(
        type='LabelFractionDataset',
        fraction=fraction,
        seed=cfg.randomness.seed,
        dataset=cfg.train_dataloader.dataset,
    )
    cfg.train_dataloader.dataset = dict(type='RepeatDataset', times=times, dataset=kept)
