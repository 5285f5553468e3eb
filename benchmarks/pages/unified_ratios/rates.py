"""The rates: how they are chosen, before any reported seed is run. What was chosen is in ``Scale``."""

from dataclasses import replace

from harness.claims import Results
from harness.page import Page
from harness.provenance import cost_in_words
from harness.statistics import values
from harness.training import Experiment, Setting
from mmengine.config import Config

from pages.edits import Edit, edits
from pages.unified_ratios.configs import Scale
from pages.unified_ratios.measures import MEASURES
from pages.unified_ratios.rows import SETTINGS

#: The seed the rates are chosen with; it is not reported.
SEED = 100
#: What is tried.
RATES = (1.5e-4, 3e-4, 6e-4, 1.2e-3)
#: The rates of the scale when they are tried; each run has its own, but their keys hold these.
BEFORE = dict(lr=3e-4, captions_lr=3e-4, labels_lr=3e-4)
#: What else was looked at before the reported seeds were run.
TRIED_BEFORE = (
    'Before that, nothing was looked at but training losses with the same seed, over 300 to 750 steps at rates from '
    '0.0003 to 0.004, and what takes how long, with one run of some rows: at 0.001 and above, half and half did not '
    'leave chance on the labelled classes in 700 steps, whatever the scale of the cosines at the start, and at 0.0003 '
    'it did in 150. So lower rates are tried than that of the config (0.001), and three passes are what about five '
    'processor minutes a run hold.'
)
#: By which row each rate of the scale is chosen, and what it is the rate of.
CHOSEN_BY = dict(
    captions_lr=('captions-100', 'captions alone'),
    lr=('captions-50', 'half and half'),
    labels_lr=('captions-0', 'labels alone'),
)


def _at(rate: float) -> Edit:
    def edit(cfg: Config) -> None:
        cfg.optim_wrapper.optimizer.lr = rate

    return edit


TRIED = {
    f'{row}@{rate:g}': Setting(f'{row}@{rate:g}', edits(SETTINGS[row].edit, _at(rate)))
    for row, _ in CHOSEN_BY.values()
    for rate in RATES
}


def tried(results: Results, entry: str, rate: float) -> float | None:
    """The score at a rate of the row that chooses an entry of the scale; None where it was not run."""
    return values(results, f'{CHOSEN_BY[entry][0]}@{rate:g}', MEASURES['score']).get(SEED)


def best(results: Results) -> dict[str, float]:
    """The best rate of each entry of the scale whose rates were all tried; of equal ones the lower."""
    scores = {entry: [tried(results, entry, rate) for rate in RATES] for entry in CHOSEN_BY}
    return {entry: RATES[found.index(max(found))] for entry, found in scores.items() if None not in found}


def _introduction(results: Results, scale: Scale) -> list[str]:
    """The whole page."""
    chosen = best(results)
    lines = [
        '# The rates of the ratio table with the small dual tower',
        '',
        'Written by `benchmarks/unified_ratios_rates.py`: the mean, in per cent, of zero-shot top-1 on labelled and on '
        'unseen classes and of recall at 1 (both ways count half) of [the table](unified_ratios.md), with bare names '
        f'and seed {SEED}, which is not reported there. The best rate (bold; of equal ones the lower) is that of all '
        'rows of its kind: half and half chooses for all mixtures, with definitions as without.',
        '',
        TRIED_BEFORE,
        '',
        f'| | {" | ".join(f"{rate:g}" for rate in RATES)} |',
        f'|{"---|" * (len(RATES) + 1)}',
    ]
    for entry, (_, title) in CHOSEN_BY.items():
        cells = []
        for rate in RATES:
            value = tried(results, entry, rate)
            cell = 'not run' if value is None else f'{value:.1f}'
            cells.append(f'**{cell}**' if chosen.get(entry) == rate else cell)
        lines.append(f'| {title} | {" | ".join(cells)} |')
    return [*lines, '']


def rates_page(experiment: Experiment) -> Page:
    """The page of the choice, by the same experiment."""
    return Page(
        name='unified_ratios_rates',
        work=replace(experiment, settings=TRIED, scale=replace(experiment.scale, **BEFORE)),
        measures=MEASURES,
        tables=(),
        columns=('score', 'seen', 'unseen', 'ir1', 'tr1'),
        introduction=_introduction,
        fine_print=lambda results, scale: [cost_in_words(results), ''] if results else [],
        seeds=(SEED,),
        folder='unified_ratios',
    )
