"""Every row: what it changes in the quick start's config."""

from harness.training import Setting
from mmengine.config import Config

from pages.edits import (
    Edit,
    drawn,
    edits,
    head,
    keep_share,
    lda,
    prompt,
    text,
    untrained,
    vision_only,
    write_lda_features,
)

WIDTH = 384  # of MiniLM's sentence embeddings
VISION_WIDTH = 1280  # of the pooled features
SCRATCH_STAGES = -1  # nothing of a tower without pre-training is frozen
TRANSFORMER_RATE = 0.02  # of the learning rate, for the layers of T-Trans
TEXT_TOWER_RATE = 0.05  # of the learning rate, where the text tower is trained


def nothing(cfg: Config) -> None:
    """The quick start's model as it is: ConSE and a trained linear map beside it, T1D, frozen class names."""


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


def matching(kind: str, gather: bool) -> Edit:
    """The matching paradigm."""

    def edit(cfg: Config) -> None:
        cfg.model.cls_head.update(type='VideoTextMatchingHead', text=kind, gather=gather)
        if kind == 'online':
            cfg.optim_wrapper.paramwise_cfg = dict(custom_keys={'class_rows.tower': dict(lr_mult=TEXT_TOWER_RATE)})

    return edit


def share(percent: int) -> Edit:
    """A share of the labels; the videos are repeated so that the number of steps stays the same."""
    return lambda cfg: keep_share(cfg, percent / 100, round(100 / percent))


def _classifiers() -> list[Setting]:
    """Tables 1 and supp. 2."""
    return [
        Setting('untrained', untrained),
        Setting('text', nothing),
        Setting('vision', vision_only(VISION_WIDTH)),
        Setting('random', drawn('RandomClassifier', WIDTH)),
        Setting('orthogonal', drawn('OrthogonalClassifier', WIDTH)),
        Setting('lda', lda(WIDTH), before=write_lda_features),
        Setting('unfrozen', head(frozen=False)),
        Setting('text-linear', linear),
        Setting('random-linear', edits(linear, drawn('RandomClassifier', WIDTH))),
        Setting('orthogonal-linear', edits(linear, drawn('OrthogonalClassifier', WIDTH))),
    ]


def _encoders() -> list[Setting]:
    """Tables 2 and 3."""
    return [
        Setting('tap', edits(linear, tap)),
        Setting('ttrans', edits(linear, tap, temporal_transformer)),
        Setting('vision-scratch', edits(vision_only(VISION_WIDTH), scratch)),
        Setting('text-scratch', edits(linear, scratch)),
    ]


def _texts() -> list[Setting]:
    """Table 4."""
    return [
        Setting('template', text(templates='text4vis')),
        Setting('templates-drawn', edits(text(templates='text4vis'), head(train_templates='clip_kinetics'))),
        Setting('prompt', prompt),
        Setting('templates-mean', text(templates='clip_kinetics')),
    ]


def _fractions() -> list[Setting]:
    """Figure 3; all labels are the rows ``text`` and ``vision``."""
    return [
        Setting(f'{name}-{percent}', edits(edit, share(percent)))
        for percent in (10, 25, 50)
        for name, edit in (('text', nothing), ('vision', vision_only(VISION_WIDTH)))
    ]


def _paradigms() -> list[Setting]:
    """Table 6: all on two processes with half of the batch each."""
    rows = [
        Setting(f'matching-{kind}-{"gather" if gather else "local"}', matching(kind, gather), ranks=2)
        for gather in (True, False)
        for kind in ('online', 'offline')
    ]
    return [*rows, Setting('text-ranks', nothing, ranks=2)]


SETTINGS: dict[str, Setting] = {
    setting.name: setting for setting in (*_classifiers(), *_encoders(), *_texts(), *_fractions(), *_paradigms())
}
