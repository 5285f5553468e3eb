"""The rates: how they are chosen, before any reported seed is run, and what was chosen."""

from dataclasses import replace
from typing import Any

from harness.claims import Results
from harness.page import Page
from harness.statistics import values
from harness.training import Experiment

from pages.small_clip.measures import MEASURES
from pages.small_clip.rates import SEED
from pages.small_clip.rates import best as best_of_rows
from pages.small_clip.rows import RATES
from pages.small_clip_images.rows import RATED, TRIED

#: The common rate when the rates are tried; each run has its own, but their keys hold it.
BEFORE = 3e-4
#: The common rate: the best one of vision-only.
LR = 1e-4
#: The best rate of each row, of four; of equal ones the lower.
OWN: dict[str, float] = {'text': 3e-4, 'vision': 1e-4, 'literal': 1e-4, 'text-1': 3e-5, 'vision-1': 3e-5}


def best(results: Results) -> dict[str, float]:
    """The best rate of each row whose four rates have results."""
    return best_of_rows(results, RATED)


def _introduction(results: Results, scale: Any) -> list[str]:
    """The whole page."""
    chosen = best(results)
    lines = [
        '# The rates of the tables on images',
        '',
        'Written by `benchmarks/small_clip_images_rates.py`. Top-1 in per cent on the 60 classes of [the '
        f'tables](small_clip_images.md) with seed {SEED}, which is not reported there, at four rates of the encoder; '
        f'what is new in a model learns at {scale.new:g} times the rate. The rate of vision-only is the one that all '
        'rows have in the first regime, and the best of each row (bold; of equal ones the lower) is its own in the '
        'second.',
        '',
        f'| row | {" | ".join(f"{rate:g}" for rate in RATES)} |',
        f'|{"---|" * (len(RATES) + 1)}',
    ]
    for row in RATED:
        cells = []
        for rate in RATES:
            value = values(results, f'{row}@{rate:g}', MEASURES['seen']).get(SEED)
            cell = 'not run' if value is None else f'{value:.1f}'
            cells.append(f'**{cell}**' if chosen.get(row) == rate else cell)
        lines.append(f'| {row} | {" | ".join(cells)} |')
    return [*lines, '']


def rates_page(experiment: Experiment) -> Page:
    """The page of the choice, by the same experiment."""
    return Page(
        name='small_clip_images_rates',
        work=replace(experiment, settings=TRIED, scale=replace(experiment.scale, lr=BEFORE)),
        measures=MEASURES,
        tables=(),
        columns=('seen', 'unseen'),
        introduction=_introduction,
        fine_print=lambda results, scale: [],
        seeds=(SEED,),
        folder='small_clip',
    )
