"""A page whose rows start from towers that are trained indeed, in seconds."""

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / 'benchmarks'))

import textxfer_mm.register  # noqa: F401  (before anything of mmaction)  # isort: skip
from harness.claims import Claim, Measure
from harness.command import run_command
from harness.page import Page, Row, Table
from harness.statistics import PairedInterval
from harness.towers import TOWER, WEIGHTS, Tower
from harness.training import Experiment, Setting

from textxfer_mm.apis import score_videos
from textxfer_mm.errors import UserError

CONFIG = str(Path(__file__).with_name('tiny_towers_config.py'))


@dataclass(frozen=True)
class Scale:
    """The learning rate of the rows."""

    lr: float = 0.01


def nothing(cfg):
    """As it is."""


def from_tower(cfg):
    """Start from the tower, and save none."""
    cfg.model.backbone.pretrained = f'{TOWER}/{WEIGHTS}'


def adapt(cfg, scale):
    """Bring the config to a scale; rows neither validate nor die."""
    cfg.optim_wrapper.optimizer.lr = scale.lr
    cfg.train_cfg.max_epochs = 1
    cfg.custom_hooks = [dict(type='EpochSeedHook')]
    cfg.default_hooks = dict(checkpoint=None)
    cfg.log_processor = dict(window_size=1)


def measure(model, cfg):
    """Top-1."""
    return dict(seen=score_videos(model, cfg.val_dataloader).top(1))


def towers(scale):
    """Two: the second is used by no row."""
    return [Tower('plain', CONFIG, nothing), Tower('unused', CONFIG, nothing, seed=1)]


EXPERIMENT = Experiment(
    base=CONFIG,
    settings={
        row.name: row
        for row in (
            Setting('scratch', nothing),
            Setting('started', from_tower, tower='plain'),
            Setting('few', nothing, seeds=1),
        )
    },
    scale=Scale(),
    adapt=adapt,
    data=lambda root, seed, scale, say: root,
    locate=lambda cfg, data: None,
    measure=measure,
    towers=towers,
)
MEASURES = dict(
    seen=Measure('seen', lambda result: 100 * result['seen'] if 'seen' in result else None, ' points'),
    before=Measure('before', lambda result: 100 * result['validations'][0][1]['acc/top1'], ' points'),
    after=Measure('after', lambda result: 100 * result['validations'][-1][1]['acc/top1'], ' points'),
)
PAGE = Page(
    name='tiny_towers',
    work=EXPERIMENT,
    measures=MEASURES,
    tables=(
        Table('Towers', 'By themselves.', (Row('tower-plain', 'plain'),), (), columns=('before', 'after')),
        Table(
            'Rows',
            'From them.',
            (Row('scratch', 'from scratch'), Row('started', 'from the tower')),
            (Claim('A tower helps', '', ('started',), ('scratch',)),),
        ),
    ),
    columns=('seen',),
    introduction=lambda results, scale: ['# Tiny', ''],
    fine_print=lambda results, scale: [],
    rule=PairedInterval(),
    seeds=(0, 1),
)

if __name__ == '__main__':
    try:
        sys.exit(run_command(PAGE, __file__, __doc__))
    except UserError as error:
        sys.exit(f'error: {error}')
