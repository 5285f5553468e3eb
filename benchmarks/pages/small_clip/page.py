"""The page: its sentences, and what gives its numbers."""

from dataclasses import replace

import numpy as np
from harness.claims import Results
from harness.page import Page
from harness.provenance import cost_in_words, weights_in_words
from harness.report import seeds_in_words
from harness.statistics import PairedInterval, values
from harness.training import Experiment

from pages.small_clip.between import BETWEEN, POINTS, along_the_way
from pages.small_clip.configs import DOWNSTREAM, Scale, adapt, prepare, towers
from pages.small_clip.falsifiers import FALSIFIERS
from pages.small_clip.figures import FIGURES
from pages.small_clip.measures import MEASURES, MOTION, SEEN, UNSEEN, measure, quick
from pages.small_clip.rates import AT_OWN, OWN
from pages.small_clip.rows import RATES, SETTINGS
from pages.small_clip.tables import OWN_RATE, TABLES
from textxfer_mm.datasets import scene_datasets


def introduction(results: Results, scale: Scale) -> list[str]:
    """What this page is, and what it is not."""
    return [
        '# The tables of the paper with a small CLIP',
        '',
        'This page is written by `benchmarks/small_clip.py` from the results of its runs: no sentence that judges a '
        'number was written by hand. It re-runs Tables 1, 2, 3, 4 and 6, supplementary Table 2, Figures 3 and 4, and '
        'few-shot and zero-shot rows (Tables 8 and 9) of Text4Vis with a dual tower that really was pre-trained '
        'contrastively: a ResNet of 1.4 million weights and a text transformer, on captioned stills that are rendered.',
        '',
        f'**These are not the numbers of the paper, and no evidence on Kinetics-400.** They say which of its findings '
        f'show at this scale: {SEEN + MOTION} classes, {scale.train} training clips a class in another style than the '
        f'captioned stills had, {_steps(results)} steps of {scale.batch} clips. Columns and numbers marked "paper" are '
        "the paper's (top-1 on Kinetics-400, single view, ViT-B/16 unless said otherwise).",
        '',
        '    python benchmarks/small_clip.py',
        '',
        'does all of it again, resumes where it was stopped, and writes this page; with `--report-only` it writes the '
        'page from the results that are there (`benchmarks/results/small_clip.jsonl`).',
        '',
        '## How to read it',
        '',
        f'Numbers are mean ± standard deviation over {seeds_in_words(results)}, in per cent: top-1 on '
        f'{SEEN * scale.test} test clips of {SEEN} classes (chance {100 / SEEN:.1f}), half of which are pairs of a '
        'verb and an object that no caption told of; top-1 on those of 10 classes that differ in motion only, among '
        f'these (chance {100 / MOTION:.0f}, and 50 for whoever recognises the object and '
        f'no motion); and top-1 on {UNSEEN * scale.unseen} clips of {UNSEEN} unseen classes by their names alone '
        f'(chance {100 / UNSEEN:.0f}). A seed stands for other clips, other initial weights of what is new and other '
        'draws; the rows of a seed share its clips, so differences are paired by seed. They count as resolved where '
        'their 95 % interval (Student, over the seeds) does not hold zero; with few seeds it is wide. If nothing '
        f'differed, about {sum(len(table.claims) for table in PAGE.tables) / 20:.0f} of the '
        f'{sum(len(table.claims) for table in PAGE.tables)} comparisons below would still be resolved. The intervals '
        'are those of these towers: each is one pre-training, and only of the main one there is a second.',
        '',
        *_regimes(scale),
        '',
        *_sanity(results),
    ]


def _regimes(scale: Scale) -> list[str]:
    """What the two regimes share, and where the second may be wrong."""
    shared = [row for row, rate in OWN.items() if rate == scale.lr]
    highest, lowest = ([row for row, rate in OWN.items() if rate == end] for end in (max(RATES), min(RATES)))
    return [
        f'Two regimes: one rate for all rows, the best one of *vision-only* ({scale.lr:g} for the encoder, '
        f'{scale.new:g} times that for what is new), and each row at its own best rate of four. The rates were chosen '
        'with a seed that is not reported, and committed with the claims below before the reported seeds were run. '
        f'Rows whose own rate is the common one ({", ".join(shared)}) are the same runs in both regimes, and what '
        'is said of two of them stands there twice. A better rate may lie beyond the four for '
        f'{", ".join(highest)} (best at the highest) and {", ".join(lowest)} (best at the lowest).'
    ]


def fine_print(results: Results, scale: Scale) -> list[str]:
    """Settings."""
    return [
        '## Settings',
        '',
        f'Pre-training: {scale.captions:,} stills of 64 pixels, {scale.passes} passes, batches of 128 on two '
        'processes, InfoNCE over both, AdamW (`configs/rendered_scenes/`). The class names of half of the 60 classes '
        'and of half of the 20 unseen ones are pairs that no caption had. Training: 8 frames, AdamW, weight decay 0.2, '
        f'10 steps of warm-up, cosine decay, float32, cosines scaled by {scale.init_scale:g} at the start. '
        'How the rates were chosen: [the rates](small_clip_rates.md).',
        '',
        cost_in_words(results),
        '',
        weights_in_words(results, EXPERIMENT.started_from()),
    ]


def _sanity(results: Results) -> list[str]:
    """Whether the towers are what they should be, before anything is trained from them."""
    chance, measure = 100 / SEEN, MEASURES['seen']
    lines = []
    found = values(results, 'untrained', measure)
    if found:
        mean = np.mean(list(found.values()))
        word = 'as it should be' if 5 * chance <= mean <= 80 else 'NOT as it should be'
        lines.append(
            f'- Before training, the class names alone give {mean:.1f} % on the 60 classes, {mean / chance:.0f} times '
            f'chance; it should be five times chance to 80 %: {word}.'
        )
    found = values(results, 'untrained-shuffled-tower', measure)
    if found:
        mean = np.mean(list(found.values()))
        word = 'as it should be' if mean < 2 * chance else 'NOT as it should be'
        lines.append(
            f'- With the tower of shuffled captions they give {mean:.1f} %; it should be chance ({chance:.1f} %): '
            f'{word}.'
        )
    return ['## Sanity', '', *lines, ''] if lines else []


def _steps(results: Results) -> int:
    """Steps of the training with all clips."""
    return max((len(run['losses']) for run in results.get('text', {}).values()), default=0)


EXPERIMENT = Experiment(
    base=DOWNSTREAM,
    settings={**SETTINGS, **AT_OWN},
    scale=Scale(),
    adapt=adapt,
    data=lambda root, seed, scale, say: prepare(root, seed, scale, say, replace(EXPERIMENT, scale=scale)),
    locate=lambda cfg, data: None,
    measure=measure,
    quick=quick,
    keyed=('lda_encoder', 'text_rows', 'changed_rows', 'unseen_class_names', 'alphas'),
    version=dict(scenes=scene_datasets.FORMAT, recipe=1),
    towers=towers,
)

PAGE = Page(
    name='small_clip',
    work=EXPERIMENT,
    measures={**MEASURES, **POINTS},
    tables=(*TABLES, *FIGURES, BETWEEN, *OWN_RATE),
    columns=('seen', 'unseen'),
    introduction=introduction,
    fine_print=fine_print,
    rule=PairedInterval(),
    seeds=(0, 1, 2, 3, 4),
    falsifiers=FALSIFIERS,
    derive=along_the_way,
)
