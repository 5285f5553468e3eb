"""The page: its sentences, and what gives its numbers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from harness.claims import Results
from harness.page import Page
from harness.provenance import cost_in_words, weights_in_words
from harness.report import seeds_in_words
from harness.statistics import PairedInterval
from harness.towers import TOWER, WEIGHTS
from harness.training import Experiment
from mmengine.config import Config
from torch import nn

from pages.recognizers import with_unseen_classes
from pages.small_clip.configs import Scale, prepare, set_rate, towers
from pages.small_clip.measures import MEASURES, SEEN, UNSEEN, largest_cosine
from pages.small_clip_images.rates import LR, OWN
from pages.small_clip_images.rows import SETTINGS, at_own
from pages.small_clip_images.tables import EQ_3, FALSIFIERS, OWN_RATE, TABLE_10, TABLE_11
from textxfer_mm.apis import score_videos
from textxfer_mm.datasets import scene_datasets
from textxfer_mm.datasets.scene_datasets import scene_class_names
from textxfer_mm.engine.classes import classifier_of

BASE = 'rendered_scenes/text4vis_clip-rn-w16_stills_1xb8-1e_rendered-scenes.py'


def adapt(cfg: Config, scale: Scale) -> None:
    """Bring the shipped config to a scale, as the page of videos does."""
    names, weights = scene_class_names('seen'), f'{TOWER}/{WEIGHTS}'
    cfg.class_names, cfg.unseen_class_names = names, scene_class_names('unseen')
    cfg.model.backbone.pretrained = cfg.model.head.classifier.encoder.pretrained = weights
    cfg.model.head.init_scale = scale.init_scale
    cfg.model.head.classifier.class_names = names
    per_class = dict(train=scale.train, val=scale.test, test=scale.unseen)
    for split, kind in (('train', 'seen'), ('val', 'seen'), ('test', 'unseen')):
        loader = cfg[f'{split}_dataloader']
        loader.update(batch_size=scale.batch, num_workers=0, persistent_workers=False)
        loader.pop('worker_init_fn', None)  # there are no workers
        loader.dataset.update(kinds=(kind,), per_class=per_class[split], seed=cfg.randomness.seed)
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=scale.passes_downstream, val_interval=1000)
    set_rate(cfg, scale.lr, scale.new)
    for schedule in cfg.param_scheduler[1:]:
        schedule.end = scale.passes_downstream
    cfg.default_hooks.checkpoint = None
    cfg.log_processor.window_size = 1


def measure(model: nn.Module, cfg: Config) -> Mapping[str, Any]:
    """Top-1 accuracies (0 to 1) among the 60 classes, and by names on the unseen ones."""
    scores = score_videos(model, cfg.val_dataloader)
    names = scores.class_names
    result = dict(
        row_cosine=largest_cosine(model),
        seen=scores.top(1),
        captioned=scores.top1_of(names[: SEEN // 2]),
        new=scores.top1_of(names[SEEN // 2 :]),
        unseen=None,
    )
    if classifier_of(cfg).get('type') == 'TextClassifier':
        unseen = score_videos(with_unseen_classes(model, cfg), cfg.test_dataloader)
        result.update(unseen=unseen.top(1))
    return result


def introduction(results: Results, scale: Scale) -> list[str]:
    """What this page is, and what it is not."""
    steps = max((len(run['losses']) for run in results.get('text', {}).values()), default=0)
    return [
        '# Tables 10 and 11 of the paper with a small CLIP',
        '',
        'Written by `benchmarks/small_clip_images.py` from the results of its runs: few-shot and zero-shot recognition '
        "of images by Text4Vis, on stills of rendered actions under MMPretrain, from the main tower of [the paper's "
        'tables on videos](small_clip.md); and the literal Eq. 3 beside the normalised form.',
        '',
        '**These are not the numbers of the paper, and no evidence on ImageNet.** They say which of its findings show '
        f'at this scale: {SEEN} classes, {scale.train} training stills a class in another style than the captioned '
        f'stills had, {steps} steps of {scale.batch} stills.',
        '',
        '    python benchmarks/small_clip_images.py',
        '',
        'does all of it again, resumes where it was stopped, and writes this page; with `--report-only` it writes the '
        'page from the results that are there.',
        '',
        '## How to read it',
        '',
        f'Numbers are mean ± standard deviation over {seeds_in_words(results)}, in per cent: top-1 on '
        f'{SEEN * scale.test} test stills of {SEEN} classes (chance {100 / SEEN:.1f}), half of which are pairs of a '
        f'verb and an object that no caption told of; and top-1 on {UNSEEN * scale.unseen} stills of {UNSEEN} unseen '
        f'classes by their names alone (chance {100 / UNSEEN:.0f}). The rows of a seed share its stills, so their '
        'differences are paired by seed; they count as resolved where their 95 % interval (Student, over the seeds) '
        f'does not hold zero. One rate for all rows ({scale.lr:g} for the encoder, {scale.new:g} times that for what '
        'is new) is the best one of vision-only, by a seed that is not reported '
        '([the rates](small_clip_images_rates.md)); claims and rates were committed before a reported seed was run.',
        '',
    ]


def fine_print(results: Results, scale: Scale) -> list[str]:
    """Settings."""
    return [
        '## Settings',
        '',
        'AdamW, weight decay 0.2, 10 steps of warm-up, cosine decay, float32, cosines scaled by '
        f'{scale.init_scale:g} at the start; random crops of 64 of 72 pixels, and flips.',
        '',
        cost_in_words(results),
        '',
        weights_in_words(results, EXPERIMENT.started_from()),
    ]


EXPERIMENT = Experiment(
    base=BASE,
    settings={**SETTINGS, **at_own(OWN)},
    scale=Scale(lr=LR),
    adapt=adapt,
    data=lambda root, seed, scale, say: prepare(root / 'stills', seed, scale, say, replace(EXPERIMENT, scale=scale)),
    locate=lambda cfg, data: None,
    measure=measure,
    keyed=('unseen_class_names',),
    version=dict(scenes=scene_datasets.FORMAT, recipe=1),
    towers=lambda scale: towers(scale)[:1],
)

PAGE = Page(
    name='small_clip_images',
    work=EXPERIMENT,
    measures=MEASURES,
    tables=(TABLE_10, TABLE_11, EQ_3, OWN_RATE),
    columns=('seen', 'unseen'),
    introduction=introduction,
    fine_print=fine_print,
    rule=PairedInterval(),
    seeds=(0, 1, 2, 3, 4),
    falsifiers=FALSIFIERS,
    folder='small_clip',
)
