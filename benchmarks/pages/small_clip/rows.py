"""Every row: what it changes in the shipped config of Text4Vis with the small CLIP."""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from harness.training import Setting
from mmengine.config import Config
from torch import Tensor
from torch.nn import functional

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
from pages.small_clip.configs import set_rate, vision_transformer
from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.engine.classes import source_of

WIDTH = 128  # of the towers
#: Steps between two points of the curves of Figure 4.
CURVE = 16
#: Rows of which curves are measured.
CURVED = ('text', 'vision', 'random')
#: Clips a step where pairs of the batch are matched: with half as many there is little to match against.
MATCHING_BATCH = 16
#: Shares of the way from before to after training.
ALPHAS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
#: Shots a class; all clips of the training list are the rows without a number.
SHOTS = (1, 3, 5, 10)
#: The rates of which each row takes its best one in regime (ii).
RATES = (3e-5, 1e-4, 3e-4, 1e-3)


#: How a row changes the config, and what is written before training.
Change = tuple[Edit, Callable[[Config, Path], None] | None]


def nothing(cfg: Config) -> None:
    """The shipped config as it is: TAP, frozen class names of the tower's own text side."""


def changed(name: str) -> Edit:
    """Text rows that are written to a file before training, see :func:`write_changed_rows`."""

    def edit(cfg: Config) -> None:
        cfg.text_rows, cfg.changed_rows = copy.deepcopy(cfg.model.cls_head.classifier), name
        cfg.model.cls_head.classifier = dict(type='FileClassifier', path='rows.safetensors')

    return edit


def write_changed_rows(cfg: Config, folder: Path) -> None:
    """Write text rows that are changed as the config says."""
    cfg_of_text = copy.deepcopy(cfg)
    cfg_of_text.model.cls_head.classifier = cfg.text_rows
    made = source_of(cfg_of_text).build()
    generator = torch.Generator().manual_seed(cfg.randomness.seed)
    rows = CHANGES[cfg.changed_rows](made.weight, generator)
    changed = ClassifierBundle.from_rows(
        rows, class_names=made.class_names, encoder_id=f'text rows, {cfg.changed_rows}'
    )
    changed.save(folder / 'rows.safetensors')
    cfg.model.cls_head.classifier.path = str(folder / 'rows.safetensors')


def _rotated(rows: Tensor, generator: torch.Generator) -> Tensor:
    """At random: the same correlations, no alignment."""
    return rows @ torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=generator))[0]


def _shuffled(rows: Tensor, generator: torch.Generator) -> Tensor:
    """Every class gets the row of another one."""
    order = torch.randperm(len(rows), generator=generator)
    changed = torch.empty_like(rows)
    changed[order] = rows[order.roll(1)]
    return changed


def _as_made(rows: Tensor, generator: torch.Generator) -> Tensor:
    """As the tower makes them: rows from a file are taken even where all are one, as names of one row are not."""
    return rows


def _centred(rows: Tensor, generator: torch.Generator) -> Tensor:
    """What differs between the rows, of unit norm."""
    return functional.normalize(rows - rows.mean(dim=0), dim=1)


CHANGES = {'rotated': _rotated, 'shuffled': _shuffled, 'as made': _as_made, 'centred': _centred}


def sentences(cfg: Config) -> None:
    """Rows of a sentence encoder, which was never aligned with images, behind a linear map that is trained."""
    cfg.model.cls_head.classifier = dict(
        type='TextClassifier',
        class_names=cfg.class_names,
        templates='text4vis',
        encoder=dict(type='LanguageModelEncoder', model='packaged'),
    )
    cfg.model.cls_head.projection = 'linear'


def scratch(cfg: Config) -> None:
    """A vision tower without pre-training."""
    cfg.model.backbone.pretrained = None


def supervised(cfg: Config) -> None:
    """The vision tower that was trained with labels, without text."""
    initial = dict(type='Pretrained', checkpoint=cfg.supervised, prefix='backbone.')
    cfg.model.backbone.update(pretrained=None, init_cfg=initial)


def temporal_transformer(cfg: Config) -> None:
    """The paper's six layers on the frame features."""
    cfg.model.neck = dict(type='TemporalTransformer', in_channels=WIDTH)


def temporal(kind: str) -> Edit:
    """Temporal convolutions inside the tower, at the rate of what is new."""
    return lambda cfg: cfg.model.backbone.update(temporal=dict(type=kind))


def matching(kind: str, gather: bool) -> Edit:
    """The matching paradigm."""
    return edits(head(type='VideoTextMatchingHead', text=kind, gather=gather), larger_batch)


def larger_batch(cfg: Config) -> None:
    """More clips a step, and as many fewer steps."""
    cfg.train_dataloader.batch_size = MATCHING_BATCH


def shots(count: int) -> Edit:
    """A few clips a class, repeated so that the number of steps stays about the same."""

    def edit(cfg: Config) -> None:
        whole = cfg.train_dataloader.dataset.per_class
        keep_share(cfg, min(1.0, count / whole), max(1, round(whole / count)))

    return edit


def at(rate: float) -> Edit:
    """Another rate of the encoder; what is new stays as many times faster."""

    def edit(cfg: Config) -> None:
        set_rate(cfg, rate, 1 / cfg.optim_wrapper.paramwise_cfg.custom_keys['backbone.visual'].lr_mult)

    return edit


#: What Table 1 compares.
ROWS: dict[str, Change] = {
    'text': (nothing, None),
    'vision': (vision_only(WIDTH), None),
    'lda': (lda(WIDTH), write_lda_features),
    'random': (drawn('RandomClassifier', WIDTH), None),
    'orthogonal': (drawn('OrthogonalClassifier', WIDTH), None),
    'rotated': (changed('rotated'), write_changed_rows),
    'shuffled': (changed('shuffled'), write_changed_rows),
    'sentences': (sentences, None),
}

_FROM_SECOND = ('text', 'vision', 'lda', 'random', 'orthogonal', 'rotated')
#: The text side of the tower of shuffled captions may tell no class from another.
_FROM_SHUFFLED = {
    'text': (changed('as made'), write_changed_rows),
    'centred': (changed('centred'), write_changed_rows),
    **{row: ROWS[row] for row in ('vision', 'random', 'orthogonal')},
}


def _classifiers(tower: str, end: str, seeds: int | None, rows: Mapping[str, Change]) -> list[Setting]:
    """Table 1 from a tower."""
    curved = CURVED if tower == 'main' else ()
    return [
        Setting(f'{row}{end}', edit, before=before, tower=tower, seeds=seeds, curve=CURVE if row in curved else 0)
        for row, (edit, before) in rows.items()
    ]


def _others() -> list[Setting]:
    """Tables 2, 3, 4 and supp. 2, from the main tower unless they say otherwise."""
    main = dict(tower='main')
    return [
        Setting('untrained', untrained, **main),
        Setting('unfrozen', head(frozen=False), **main),
        Setting('t1d', temporal('T1D'), seeds=3, **main),
        Setting('ttrans', temporal_transformer, seeds=3, **main),
        Setting('text-vit', vision_transformer, tower='vit', seeds=3),
        Setting('token-t1d-vit', edits(vision_transformer, temporal('TokenT1D')), tower='vit', seeds=3),
        Setting('vision-twin', edits(vision_only(WIDTH), supervised), tower='twin', seeds=3),
        Setting('sentences-twin', edits(sentences, supervised), tower='twin', seeds=3),
        Setting('vision-scratch', edits(vision_only(WIDTH), scratch), seeds=3),
        Setting('text-scratch', scratch, seeds=3, **main),
        Setting('name', text(templates='{}'), seeds=3, **main),
        Setting('templates-drawn', head(train_templates='clip_kinetics'), seeds=3, **main),
        Setting('templates-mean', text(templates='clip_kinetics'), seeds=3, **main),
        Setting('prompt', prompt, seeds=3, **main),
        Setting(
            'untrained-shuffled-tower',
            edits(changed('as made'), untrained),
            before=write_changed_rows,
            tower='shuffled',
            seeds=3,
        ),
    ]


def _unified() -> list[Setting]:
    """From the tower of captions and labels."""
    rows = {'untrained': untrained, 'text': nothing, 'text-1': edits(nothing, shots(1))}
    return [Setting(f'{row}-iclip', edit, tower='iclip', seeds=3) for row, edit in rows.items()]


def _shots() -> list[Setting]:
    """Figure 3 and the few-shot rows; all clips are the rows without a number."""
    return [
        Setting(f'{row}-{count}', edits(ROWS[row][0], shots(count)), tower='main')
        for count in SHOTS
        for row in ('text', 'vision', 'random')
    ]


def _paradigms() -> list[Setting]:
    """Table 6: all on two processes with half of the batch each."""
    options = dict(ranks=2, tower='main', seeds=3)
    rows = [
        Setting(f'matching-{kind}-{"gather" if gather else "local"}', matching(kind, gather), **options)
        for gather in (True, False)
        for kind in ('online', 'offline')
    ]
    return [*rows, Setting('text-ranks', larger_batch, **options)]


def between(cfg: Config) -> None:
    """The shipped config, of which the models between before and after training are measured, too."""
    cfg.alphas = ALPHAS


#: The shots of regime (ii).
ONE_SHOT = {f'{row}-1': (edits(ROWS[row][0], shots(1)), ROWS[row][1]) for row in ('text', 'vision', 'random')}


SETTINGS: dict[str, Setting] = {
    setting.name: setting
    for setting in (
        *_classifiers('main', '', None, ROWS),
        *_others(),
        *_classifiers('second', '-second', 3, {row: ROWS[row] for row in _FROM_SECOND}),
        *_classifiers('shuffled', '-shuffled-tower', 3, _FROM_SHUFFLED),
        *_shots(),
        *_paradigms(),
        Setting('between', between, tower='main'),
        *_unified(),
    )
}
