"""A page whose rows start from towers that are trained indeed, in seconds: data, hooks, rows and the command."""

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.hooks import Hook
from safetensors.torch import save_file

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
from textxfer_mm.registry import DATASETS, HOOKS

from mmaction.datasets import BaseActionDataset  # isort: skip

CONFIG = str(Path(__file__).with_name('tiny_towers_config.py'))
#: Environment variable: a file that says after how many steps which rank is killed; it is removed then.
DIE = 'TINY_TOWERS_DIE'


@DATASETS.register_module()
class TinyFrames(BaseActionDataset):
    """Videos (1, 32, 32, 3) of noise that is brighter the higher the class."""

    def __init__(self, videos, pipeline, seed=0, test_mode=False):
        self.videos, self.seed = videos, seed
        super().__init__('', pipeline, test_mode=test_mode)

    def load_data_list(self):
        """All of them."""
        rng = np.random.default_rng(self.seed)
        frames = rng.integers(0, 128, (self.videos, 1, 32, 32, 3), dtype=np.uint8)
        one_clip = dict(num_clips=1, clip_len=1)
        return [
            dict(imgs=list(frame + np.uint8(60 * (i % 3))), label=i % 3, **one_clip) for i, frame in enumerate(frames)
        ]

    def get_data_info(self, idx):
        """One video."""
        return dict(self.load_data_list()[idx], modality='RGB')


@HOOKS.register_module()
class SaveTower(Hook):
    """Leaves the weights of the backbone after training, on rank 0."""

    def after_train(self, runner):
        """Save."""
        if runner.rank == 0:
            model = getattr(runner.model, 'module', runner.model)
            file = Path(runner.work_dir) / WEIGHTS
            file.parent.mkdir(exist_ok=True)
            save_file({k: v.contiguous() for k, v in model.backbone.state_dict().items()}, file)


@HOOKS.register_module()
class DieOnce(Hook):
    """Kills a process of the training."""

    priority = 'LOWEST'

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Is it time?"""
        file = Path(os.environ.get(DIE, '/nowhere'))
        if file.exists() and file.read_text() == f'{runner.iter + 1} {runner.rank}':
            file.unlink()
            os.kill(os.getpid(), signal.SIGKILL)


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
