"""The rates: how they were chosen, before any reported seed was run, and what was chosen; docs/small_clip_rates.md."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from harness.claims import Results
from harness.page import Page
from harness.statistics import values
from harness.training import Experiment, Setting

from pages.small_clip.configs import towers
from pages.small_clip.measures import MEASURES
from pages.small_clip.rows import CURVE, CURVED, ONE_SHOT, RATES, ROWS, at, edits

#: The seed the rates were chosen with; it is not reported.
SEED = 100
#: The common rate when these runs were made; each of them has its own, but their keys hold it.
BEFORE = 1e-4
#: What else was looked at before the reported seeds were run.
TRIED_BEFORE = (
    'Before the reported seeds were run, nothing else of these tables was looked at but the pre-training of the main '
    'tower (other rates, widths and styles were tried for some hundred steps each) and the same runs with batches of '
    '16 clips in half as many steps: vision-only was best at 0.0001 there (23.1), text rows had 33.5, and drawn rows '
    'stayed below 6 at all rates. Batches were halved to give them more steps, which did not change that.'
)
#: The best rate of each row, of four; of equal ones the lower. `benchmarks/small_clip_rates.py` shows the accuracies.
OWN: dict[str, float] = {
    'text': 1e-4,
    'vision': 3e-4,
    'lda': 3e-4,
    'random': 3e-4,
    'orthogonal': 1e-3,
    'rotated': 3e-4,
    'shuffled': 1e-3,
    'sentences': 3e-4,
    'text-1': 3e-5,
    'vision-1': 3e-5,
    'random-1': 1e-3,
}
_CHANGES = {**ROWS, **ONE_SHOT}


def _settings(rates: Mapping[str, tuple[float, ...]], name: Callable[[str, float], str]) -> dict[str, Setting]:
    """Rows at rates of the encoder."""
    made = [
        Setting(
            name(row, rate),
            edits(_CHANGES[row][0], at(rate)),
            before=_CHANGES[row][1],
            tower='main',
            curve=CURVE if row in CURVED else 0,
        )
        for row in rates
        for rate in rates[row]
    ]
    return {setting.name: setting for setting in made}


#: Every row at its own best rate.
AT_OWN = _settings({row: (rate,) for row, rate in OWN.items()}, lambda row, rate: f'{row}-own')
#: All that were tried.
TRIED = _settings(dict.fromkeys(_CHANGES, RATES), lambda row, rate: f'{row}@{rate:g}')


def best(results: Results, rows: Iterable[str] = _CHANGES) -> dict[str, float]:
    """The best rate of each row whose four rates have results."""
    found = {}
    for row in rows:
        accuracies = [values(results, f'{row}@{rate:g}', MEASURES['seen']).get(SEED) for rate in RATES]
        if None not in accuracies:
            found[row] = RATES[accuracies.index(max(accuracies))]
    return found


def _introduction(results: Results, scale: Any) -> list[str]:
    """The whole page."""
    chosen = best(results)
    lines = [
        '# The rates of the tables with a small CLIP',
        '',
        'Written by `benchmarks/small_clip_rates.py`. Top-1 in per cent on the 60 classes of [the '
        f'tables](small_clip.md) with seed {SEED}, which is not reported there, at four rates of the encoder; what is '
        f'new in a model learns at {scale.new:g} times the rate. The rate of vision-only is the one that all rows have '
        'in the first regime, and the best of each row (bold; of equal ones the lower) is its own in the second.',
        '',
        TRIED_BEFORE,
        '',
        f'| row | {" | ".join(f"{rate:g}" for rate in RATES)} |',
        f'|{"---|" * (len(RATES) + 1)}',
    ]
    for row in _CHANGES:
        cells = []
        for rate in RATES:
            value = values(results, f'{row}@{rate:g}', MEASURES['seen']).get(SEED)
            cell = 'not run' if value is None else f'{value:.1f}'
            cells.append(f'**{cell}**' if chosen.get(row) == rate else cell)
        lines.append(f'| {row} | {" | ".join(cells)} |')
    return [*lines, '']


def rates_page(experiment: Experiment) -> Page:
    """The page of the choice, by the same experiment."""
    scale = replace(experiment.scale, lr=BEFORE)
    return Page(
        name='small_clip_rates',
        work=replace(experiment, settings=TRIED, scale=scale, towers=lambda scale: towers(scale)[:1]),
        measures=MEASURES,
        tables=(),
        columns=('seen', 'unseen'),
        introduction=_introduction,
        fine_print=lambda results, scale: [],
        seeds=(SEED,),
    )
