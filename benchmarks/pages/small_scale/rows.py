"""Every row: what it changes in the quick start's config."""

import copy
from pathlib import Path

from harness.training import Setting
from mmengine.config import Config

from pages.edits import Edit, edits, head, text, untrained
from textxfer_mm.apis import extract_features
from textxfer_mm.classifiers.feature_file import LabelledFeatures

WIDTH = 384  # of MiniLM's sentence embeddings
SCRATCH_STAGES = -1  # nothing of a tower without pre-training is frozen
TRANSFORMER_RATE = 0.02  # of the learning rate, for the layers of T-Trans
TEXT_TOWER_RATE = 0.05  # of the learning rate, where the text tower is trained


def nothing(cfg: Config) -> None:
    """The quick start's model as it is: ConSE and a trained linear map beside it, T1D, frozen class names."""


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
        features='lda.safetensors',
        embed_dims=WIDTH,
        solver='lsqr',
        shrinkage='auto',
    )


def write_lda_features(cfg: Config, folder: Path) -> None:
    """Write the centred features of all training videos by the encoder before training, one view each."""
    encoder = copy.deepcopy(cfg)
    encoder.model = cfg.lda_encoder
    made = extract_features(encoder, per_class=None, device='cpu')
    centred = LabelledFeatures(made.features - made.features.mean(0), made.labels)
    cfg.model.cls_head.classifier.features = str(centred.save(folder / cfg.model.cls_head.classifier.features))


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
            cfg.optim_wrapper.paramwise_cfg = dict(custom_keys={'class_rows.tower': dict(lr_mult=TEXT_TOWER_RATE)})

    return edit


def share(percent: int) -> Edit:
    """A share of the labels; the videos are repeated so that the number of steps stays the same."""

    def edit(cfg: Config) -> None:
        drawn = dict(
            type='LabelFractionDataset',
            fraction=percent / 100,
            seed=cfg.randomness.seed,
            dataset=cfg.train_dataloader.dataset,
        )
        cfg.train_dataloader.dataset = dict(type='RepeatDataset', times=round(100 / percent), dataset=drawn)

    return edit


def _classifiers() -> list[Setting]:
    """Tables 1 and supp. 2."""
    return [
        Setting('untrained', untrained),
        Setting('text', nothing),
        Setting('vision', vision_only),
        Setting('random', drawn('RandomClassifier')),
        Setting('orthogonal', drawn('OrthogonalClassifier')),
        Setting('lda', lda, before=write_lda_features),
        Setting('unfrozen', head(frozen=False)),
        Setting('text-linear', linear),
        Setting('random-linear', edits(linear, drawn('RandomClassifier'))),
        Setting('orthogonal-linear', edits(linear, drawn('OrthogonalClassifier'))),
    ]


def _encoders() -> list[Setting]:
    """Tables 2 and 3."""
    return [
        Setting('tap', edits(linear, tap)),
        Setting('ttrans', edits(linear, tap, temporal_transformer)),
        Setting('vision-scratch', edits(vision_only, scratch)),
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
        for name, edit in (('text', nothing), ('vision', vision_only))
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
