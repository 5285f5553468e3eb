"""A second page for the harness: two rows whose numbers are drawn instead of trained."""

import json
import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / 'benchmarks'))

from harness.claims import Claim, Measure
from harness.command import run_command
from harness.page import Page, Row, Table
from harness.plots import plot_losses
from harness.runs import Run
from harness.statistics import PairedInterval

from textxfer_mm.errors import UserError


@dataclass(frozen=True)
class Scale:
    """How far the two rows are apart; ``broken`` adds a row that is refused and one that takes its process along."""

    gap: float = 10.0
    broken: bool = False


@dataclass(frozen=True)
class Numbers:
    """The work: a number of each seed, which both rows share, and the gap between them."""

    scale: Scale = field(default_factory=Scale)

    def rows(self):
        """Two, or four."""
        return ['low', *(['refused', 'dies'] if self.scale.broken else []), 'high']

    def runs(self, seeds):
        """Whole seeds, so that a stop leaves some."""
        return [self.run(row, seed) for seed in seeds for row in self.rows()]

    def run(self, row, seed):
        """All that a number depends on."""
        return Run(row, seed, dict(row=row, scale=asdict(self.scale)))

    def prepare(self, runs, folder, say):
        """Draw the number of each seed."""
        for seed in sorted({run.seed for run in runs}):
            say(f'drawing for seed {seed}')
            (folder / f'{seed}.json').write_text(json.dumps(50 + np.random.default_rng(seed).random()))

    def do(self, run, folder):
        """Take it, and leave a trace."""
        with (folder / 'trace').open('a') as file:
            file.write(f'{run}\n')
        print('what a library prints')
        if run.row == 'refused':
            raise UserError('this row\nis refused')
        if run.row == 'dies':
            os._exit(3)
        number = json.loads((folder / f'{run.seed}.json').read_text()) + self.scale.gap * (run.row == 'high')
        return dict(score=number, losses=[number, number / 2])


def draw(file, results):
    """The plot."""
    return plot_losses(file, results, rows=dict(low='low', high='high'), colours=dict(low='red', high='blue'))


MEASURES = dict(score=Measure('score', lambda result: result['score'], ' points', digits=2))
TABLE = Table(
    'Table A: two rows',
    'One is higher.',
    (Row('low', 'the low one', '1.0'), Row('high', 'the high one'), Row(None, 'one that is not run')),
    (
        Claim('High beats low', 'by much', ('high',), ('low',)),
        Claim('They are alike', '', ('low',), ('high',), alike=True),
    ),
    image='tiny.png',
    plot=draw,
)
PAGE = Page(
    name='tiny',
    work=Numbers(),
    measures=MEASURES,
    tables=(TABLE,),
    columns=('score',),
    introduction=lambda results, scale: ['# Tiny', '', f'A gap of {scale.gap:g}.', ''],
    fine_print=lambda results, scale: [f'{sum(map(len, results.values()))} runs.'],
    rule=PairedInterval(),
)

if __name__ == '__main__':
    sys.exit(run_command(PAGE, __file__, __doc__))
