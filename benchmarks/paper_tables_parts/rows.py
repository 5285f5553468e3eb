"""Every setting: what it changes in the quick start's config."""

import copy
from collections.abc import Callable
from typing import Any

from mmengine.config import Config

from paper_tables_parts.settings import LDA_FEATURES, Setting

Edit = Callable[[Config], None]

WIDTH = 384  # of MiniLM's sentence embeddings
SCRATCH_STAGES = -1  # nothing of a tower without pre-training is frozen
TRANSFORMER_RATE = 0.02  # of the learning rate, for the layers of T-Trans
TEXT_TOWER_RATE = 0.05  # of the learning rate, where the text tower is trained


def nothing(cfg: Config) -> None:
    """The quick start's model as it is: ConSE and a trained linear map beside it, T1D, frozen class names."""


def edits(*parts: Edit) -> Edit:
    """Several changes in turn."""

    def edit(cfg: Config) -> None:
        for part in parts:
            part(cfg)

    return edit


def head(**options: Any) -> Edit:
    """Options of the head."""
    return lambda cfg: cfg.model.cls_head.update(options)


def text(**options: Any) -> Edit:
    """Options of the text classifier."""
    return lambda cfg: cfg.model.cls_head.classifier.update(options)


def vision_only(cfg: Config) -> None:
    """A learned linear classifier on the pooled features: MMAction2's stock head."""
    cfg.model.cls_head = dict(
        type='I3DHead', num_classes=len(cfg.class_names), in_channels=1280, dropout_ratio=0.0, average_clips='prob'
    )


def drawn(kind: str) -> Edit:
    """A frozen classifier that knows nothing of the classes; its seed is the run's."""

    def edit(cfg: Config) -> None:
        cfg.model.cls_head.classifier = dict(
            type=kind, class_names=cfg.class_names, embed_dims=WIDTH, seed=cfg.randomness.seed
        )

    return edit


def lda(cfg: Config) -> None:
    """A frozen classifier from the features of the encoder before training, behind ConSE: the space of the rows.

    ConSE's outputs span few of their dimensions, where the solver ``svd`` finds rows of length 1e34 that classify at
    chance; so the covariance is shrunk (Ledoit-Wolf), and the features are centred, as ``svd`` would do by itself.
    """
    cfg.lda_encoder = copy.deepcopy(cfg.model)
    cfg.model.cls_head.classifier = dict(
        type='LDAClassifier',
        class_names=cfg.class_names,
        features=LDA_FEATURES,
        embed_dims=WIDTH,
        solver='lsqr',
        shrinkage='auto',
    )


def linear(cfg: Config) -> None:
    """The tower itself ends with a linear map to the width of the text, initialised at random; no ConSE."""
    cfg.model.backbone.arch.embed_dim = WIDTH
    cfg.model.backbone.arch.vision_cfg.timm_proj = 'linear'
    cfg.model.cls_head.update(in_channels=WIDTH, projection=None)


def scratch(cfg: Config) -> None:
    """The tower without its ImageNet weights, all of it trained."""
    cfg.model.backbone.update(pretrained=None, frozen_stages=SCRATCH_STAGES)


def tap(cfg: Config) -> None:
    """No temporal module: frame features are averaged."""
    cfg.model.backbone.pop('temporal')


def temporal_transformer(cfg: Config) -> None:
    """The paper's six layers on the frame features; at the full rate they do not learn."""
    cfg.model.neck = dict(type='TemporalTransformer', in_channels=WIDTH)
    cfg.optim_wrapper.paramwise_cfg = dict(custom_keys={'neck': dict(lr_mult=TRANSFORMER_RATE)})


def prompt(cfg: Config) -> None:
    """Four context vectors that are learned (CoOp), shared by the classes."""
    cfg.model.cls_head.update(type='LearnablePromptHead', num_context=4)
    cfg.model.cls_head.classifier.pop('templates', None)


def matching(kind: str, gather: bool) -> Edit:
    """The matching paradigm."""

    def edit(cfg: Config) -> None:
        cfg.model.cls_head.update(type='VideoTextMatchingHead', text=kind, gather=gather)
        if kind == 'online':
            cfg.optim_wrapper.paramwise_cfg = dict(custom_keys={'text_tower': dict(lr_mult=TEXT_TOWER_RATE)})

    return edit


def _classifiers() -> list[Setting]:
    """Tables 1 and supp. 2."""
    return [
        Setting('untrained', 'before training', nothing, scale=dict(epochs=0)),
        Setting('text', 'class names (MiniLM), frozen', nothing),
        Setting('vision', 'learned linear classifier (vision-only)', vision_only, zero_shot=False),
        Setting('random', 'random normal matrix', drawn('RandomClassifier'), zero_shot=False),
        Setting('orthogonal', 'random orthogonal matrix', drawn('OrthogonalClassifier'), zero_shot=False),
        Setting('lda', 'linear discriminant projection', lda, zero_shot=False, lda=True),
        Setting('unfrozen', 'class names (MiniLM), trained on', head(frozen=False)),
        Setting('text-linear', 'class names (MiniLM)', linear),
        Setting('random-linear', 'random normal matrix', edits(linear, drawn('RandomClassifier')), zero_shot=False),
        Setting(
            'orthogonal-linear',
            'random orthogonal matrix',
            edits(linear, drawn('OrthogonalClassifier')),
            zero_shot=False,
        ),
    ]


def _encoders() -> list[Setting]:
    """Tables 2 and 3."""
    return [
        Setting('tap', 'TAP', edits(linear, tap)),
        Setting('ttrans', 'T-Trans', edits(linear, tap, temporal_transformer)),
        Setting('vision-scratch', 'vision-only', edits(vision_only, scratch), zero_shot=False),
        Setting('text-scratch', 'vision-text', edits(linear, scratch)),
    ]


def _texts() -> list[Setting]:
    """Table 4."""
    return [
        Setting('template', '"a video of a person {}."', text(templates='text4vis')),
        Setting(
            'templates-drawn',
            'multiple fixed templates, one drawn each iteration',
            edits(text(templates='text4vis'), head(train_templates='clip_kinetics')),
        ),
        Setting('prompt', 'learnable template', prompt),
        Setting('templates-mean', 'mean of the multiple templates', text(templates='clip_kinetics')),
    ]


def _paradigms() -> list[Setting]:
    """Table 6: all on two processes with half of the batch each."""
    rows = [
        Setting(
            f'matching-{kind}-{"gather" if gather else "local"}',
            'matching paradigm',
            matching(kind, gather),
            ranks=2,
        )
        for gather in (True, False)
        for kind in ('online', 'offline')
    ]
    return [*rows, Setting('text-ranks', 'recognition paradigm (ours)', nothing, ranks=2)]


def _fractions() -> list[Setting]:
    """Fig. 3; all labels are the settings ``text`` and ``vision``."""
    return [
        Setting(
            f'{name}-{round(100 * fraction)}',
            f'{title}, {fraction:.0%} of the labels',
            edit,
            fraction=fraction,
            zero_shot=name == 'text',
        )
        for fraction in (0.1, 0.25, 0.5)
        for name, title, edit in (('text', 'vision-text', nothing), ('vision', 'vision-only', vision_only))
    ]


SETTINGS: dict[str, Setting] = {
    setting.name: setting for setting in (*_classifiers(), *_encoders(), *_texts(), *_fractions(), *_paradigms())
}
