"""What the page with towers registers: data, and hooks that save a tower and kill its training."""

import os
import signal
from pathlib import Path

import numpy as np
from harness.towers import WEIGHTS
from mmengine.hooks import Hook
from safetensors.torch import save_file

from textxfer_mm.registry import DATASETS, HOOKS

from mmaction.datasets import BaseActionDataset  # isort: skip

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
