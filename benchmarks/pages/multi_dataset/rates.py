"""The rates: how they are chosen, before any reported seed is run. What was chosen is in ``Scale``."""

from dataclasses import replace

import numpy as np
from harness.claims import Results
from harness.page import Page
from harness.provenance import cost_in_words
from harness.statistics import values
from harness.training import Experiment, Setting
from mmengine.config import Config

from pages.edits import Edit, edits
from pages.multi_dataset.configs import Scale
from pages.multi_dataset.measures import MEASURES
from pages.multi_dataset.rows import SETTINGS
from pages.multi_dataset.vocabularies import TOYS

#: The seed the rates are chosen with; it is not reported.
SEED = 100
#: What is tried.
RATES = (5e-4, 1e-3, 2e-3, 4e-3, 8e-3)
#: The rates of the scale when they are tried; each run has its own, but their keys hold these.
BEFORE = dict(lr=1e-3, single_lr=1e-3, text_lr=1e-3)
#: By which rows each rate of the scale is chosen: by the mean of their accuracies on the three datasets.
CHOSEN_BY = dict(lr=('joint',), single_lr=tuple(f'single-{name}' for name in TOYS), text_lr=('text-own',))


def _at(rate: float) -> Edit:
    def edit(cfg: Config) -> None:
        cfg.optim_wrapper.optimizer.lr = rate

    return edit


TRIED = {
    f'{row}@{rate:g}': Setting(f'{row}@{rate:g}', edits(SETTINGS[row].edit, _at(rate)))
    for rows in CHOSEN_BY.values()
    for row in rows
    for rate in RATES
}


def accuracy(results: Results, entry: str, rate: float) -> float | None:
    """The mean over the three datasets at a rate, by the rows that choose an entry of the scale; None without them."""
    found = [
        values(results, f'{row}@{rate:g}', MEASURES[name]).get(SEED)
        for row in CHOSEN_BY[entry]
        for name in TOYS
        if len(CHOSEN_BY[entry]) == 1 or row.endswith(name)
    ]
    return None if None in found else float(np.mean(found))


def best(results: Results) -> dict[str, float]:
    """The best rate of each entry of the scale whose rates were all tried; of equal ones the lower."""
    tried = {entry: [accuracy(results, entry, rate) for rate in RATES] for entry in CHOSEN_BY}
    return {entry: RATES[found.index(max(found))] for entry, found in tried.items() if None not in found}


def _introduction(results: Results, scale: Scale) -> list[str]:
    """The whole page."""
    chosen = best(results)
    titles = dict(lr='joint training', single_lr='each dataset alone', text_lr='joint training in a text space')
    lines = [
        '# The rates of several small datasets in one model',
        '',
        'Written by `benchmarks/multi_dataset_rates.py`. Top-1 in per cent, mean of the three datasets of [the '
        f'tables](multi_dataset_tables.md), with seed {SEED}, which is not reported there. The best rate (bold; of '
        'equal ones the lower) is that of all rows of its kind: with the losses as without them, with as many steps '
        'as with as many passes, and in a text space also where one or two datasets are trained.',
        '',
        f'| | {" | ".join(f"{rate:g}" for rate in RATES)} |',
        f'|{"---|" * (len(RATES) + 1)}',
    ]
    for entry, title in titles.items():
        cells = []
        for rate in RATES:
            value = accuracy(results, entry, rate)
            cell = 'not run' if value is None else f'{value:.1f}'
            cells.append(f'**{cell}**' if chosen.get(entry) == rate else cell)
        lines.append(f'| {title} | {" | ".join(cells)} |')
    return [*lines, '']


def rates_page(experiment: Experiment) -> Page:
    """The page of the choice, by the same experiment."""
    return Page(
        name='multi_dataset_rates',
        work=replace(experiment, settings=TRIED, scale=replace(experiment.scale, **BEFORE)),
        measures=MEASURES,
        tables=(),
        columns=('mean', *TOYS),
        introduction=_introduction,
        fine_print=lambda results, scale: [cost_in_words(results), ''] if results else [],
        seeds=(SEED,),
        folder='multi_dataset_tables',
    )
