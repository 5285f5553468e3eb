"""The page: its sentences, and what gives its numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from harness.claims import Results
from harness.page import Given, Page
from harness.provenance import cost_in_words
from harness.report import seeds_in_words
from harness.statistics import PairedInterval, seeds_of
from harness.training import Experiment

from pages.multi_dataset.configs import Scale, adapt, locate
from pages.multi_dataset.data import prepare, take_clips
from pages.multi_dataset.measures import MEASURES, PAIRS, derived, measure, names_in
from pages.multi_dataset.rows import EXPANDER, HIDDEN, SETTINGS, WITH_CLIPS
from pages.multi_dataset.tables import TABLES
from pages.multi_dataset.vocabularies import CLIPS, MOTIONS, TOYS, are_synonyms, names_of, share_of_synonyms
from textxfer_mm.datasets.toy_actions import files
from textxfer_mm.quickstart import CONFIG

#: How the rates were chosen.
CHOICE = (
    'The rates were chosen [with a seed that is not reported](multi_dataset_rates.md), and the claims above were '
    'written before a reported seed was run.'
)

LOOKS = dict(
    colour='as they are drawn',
    infrared='grey and inverted',
    dim='dark, with little contrast and out of focus',
)


def introduction(results: Results, scale: Scale) -> list[str]:
    """What this page is, and what it is not."""
    chance = 100 * float(np.mean([1 / len(names_of(name)) for name in TOYS]))
    lines = [
        '# Several small datasets in one model',
        '',
        'This page is written by `benchmarks/multi_dataset_tables.py` from the results of its runs: no sentence that '
        'judges a number was written by hand. It asks at small scale what [MultiTrain](multitrain_heads.md) and the '
        'same in one text space are worth: three small datasets that name in part the same motions with other words, '
        'each alone and all together, with the packaged EfficientNet-lite0 (ImageNet weights, T1D) as the backbone.',
        '',
        '**These are not the numbers of the paper, and no evidence on Kinetics.** The main paper was not at hand and '
        'its supplementary does not compare the losses, so there is no column of the paper to hold them against.',
        '',
        '    python benchmarks/multi_dataset_tables.py --clips FOLDER',
        '',
        'does all of it again, resumes where it was stopped, and writes this page; with `--report-only` it writes the '
        'page from the results that are there (`benchmarks/results/multi_dataset_tables.jsonl`). `FOLDER` holds the '
        'real clips with the lists `train.txt` and `val.txt`; without it their rows are skipped.',
        '',
    ]
    if not any(results.get(row) for row in WITH_CLIPS):
        lines += ['**The rows with real clips were not run: no folder of clips was given.**', '']
    return [
        *lines,
        '## The datasets',
        '',
        f'Rendered [toy actions](own_dataset.md), {scale.train} training and {scale.val} test videos a class and '
        f'dataset; no two datasets share a video. '
        + '; '.join(f'"{name}": {len(names_of(name))} classes, {LOOKS[name]}' for name in TOYS)
        + '. A line is one motion:',
        '',
        f'| {" | ".join(TOYS)} |',
        f'|{"---|" * len(TOYS)}',
        *(f'| {" | ".join(name or "-" for name in names)} |' for names in MOTIONS.values()),
        '',
        '## How to read it',
        '',
        f'Numbers are mean ± standard deviation over {seeds_in_words(results)}, in per cent: top-1 on the test videos '
        f'of a dataset among its own classes (chance {chance:.0f}), one view. A seed stands for other videos, other '
        'initial weights of what is new and other draws; the rows of a seed share its videos, so differences are '
        'paired by seed. They count as resolved where their 95 % interval (Student, over the seeds) does not hold '
        f'zero; with few seeds it is wide. If nothing differed, about {_claims() / 20:.0f} of the {_claims()} '
        'comparisons below would still be resolved.',
        '',
    ]


def fine_print(results: Results, scale: Scale) -> list[str]:
    """The pairs, settings, machine, versions and time."""
    runs = {row: found for row, found in results.items() if row in SETTINGS}
    lines = [*_pairs(results, 'joint-both', 'of the model with both losses'), *_clips_pairs(results)]
    lines += [
        '## Settings',
        '',
        f'The backbone is that of the quick start (`configs/quickstart/`) with crops of {scale.size} pixels from '
        f'frames of 96 x 72, {scale.frames} frames, float32; three stages of it frozen, T1D in the others. Batches of '
        f'{scale.batch} are drawn from all datasets in proportion to their lengths, as in the paper. AdamW, weight '
        f'decay 0.02, 20 steps of warm-up, cosine decay, gradients clipped at 20, {scale.epochs} passes; learning '
        f'rate {scale.lr:g} in joint training with a classifier each, {scale.single_lr:g} of one dataset alone and '
        f'{scale.text_lr:g} in a text space. Classifiers: {HIDDEN} hidden units with dropout 0.5 (not of the logits); '
        f'the expander has {EXPANDER}. Loss weights are the released ones (projections 1, informative loss 0.1, in '
        f'the text space none). The informative loss sees batches of {scale.batch} videos, and is known to want large '
        'ones.',
        '',
        CHOICE,
        '',
        cost_in_words(runs),
    ]
    clips = {run['clips'] for by_seed in runs.values() for run in by_seed.values() if 'clips' in run}
    if len(clips) > 1:
        lines += ['', f'The runs with real clips saw {len(clips)} different sets of clips: they cannot be compared.']
    return lines


def _claims() -> int:
    return sum(len(table.claims) for table in TABLES)


def _pairs(results: Results, row: str, title: str) -> list[str]:
    """The largest weights of each projection between toy datasets with the first seed."""
    if not results.get(row):
        return []
    seed = seeds_of({row: results[row]})[0]
    chance = np.mean([share_of_synonyms(a, d) for a in TOYS for d in TOYS if a != d])
    return [
        '## The pairs',
        '',
        f'The {PAIRS} largest weights of each projection {title}, seed {seed}; in bold the pairs that are the same '
        f'motion, as {100 * chance:.0f} of 100 pairs are.',
        '',
        *_table(found for found in results[row][seed]['pairs']),
        '',
    ]


def _clips_pairs(results: Results) -> list[str]:
    """Those that the real clips take part in."""
    runs = results.get('joint-clips')
    if not runs:
        return []
    seed = seeds_of({'': runs})[0]
    found = [one for one in runs[seed]['pairs'] if CLIPS in (one['source'], one['target'])]
    return [
        f'And those between the real clips and the toy actions where all four are trained, seed {seed}; there is no '
        'truth to hold them against:',
        '',
        *_table(found),
        '',
    ]


def _table(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Pairs as lines of a table."""
    lines = ['| from | to | class: class it speaks for (weight) |', '|---|---|---|']
    for one in found:
        cells = []
        for pair in one['pairs']:
            text = '{}: {}'.format(*names_in(pair))
            text = f'**{text}**' if are_synonyms(*names_in(pair)) else text
            cells.append(f'{text} ({pair["weight"]:.2f})')
        lines.append(f'| {one["source"]} | {one["target"]} | {"; ".join(cells)} |')
    return lines


EXPERIMENT = Experiment(
    base=CONFIG,
    settings=SETTINGS,
    scale=Scale(),
    adapt=adapt,
    data=lambda root, seed, scale, say: prepare(root, seed, scale.train, scale.val, say),
    locate=locate,
    measure=measure,
    keyed=('unseen_class_names',),
    version=dict(videos=files.FORMAT),
)

PAGE = Page(
    name='multi_dataset_tables',
    work=EXPERIMENT,
    measures=MEASURES,
    tables=TABLES,
    columns=('mean', *TOYS, 'clips', 'zero_shot', 'pairs'),
    introduction=introduction,
    fine_print=fine_print,
    rule=PairedInterval(),
    seeds=(0, 1, 2, 3, 4),
    derive=derived,
    given=Given(
        'clips',
        'the real clips with their lists train.txt and val.txt',
        WITH_CLIPS,
        lambda source, root, scale, say: take_clips(source, root, say),
    ),
)
