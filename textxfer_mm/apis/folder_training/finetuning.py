"""The whole model, trained on the videos themselves by MMEngine's runner."""

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn

from textxfer_mm.apis.folder_training.candidates import Fitted, Samples
from textxfer_mm.apis.folder_training.lists import loader, write_list
from textxfer_mm.apis.folder_training.recipes import EPOCHS, with_lists
from textxfer_mm.apis.scoring import score_videos
from textxfer_mm.engine.quiet_training import History, logging_to, train
from textxfer_mm.errors import UserError

#: Steps that are timed before; the first of them warms up.
_TIMED = 3
LOG = 'finetune.log'


class WholeModel:
    """All weights by two learning rates, a fixed number of epochs; its folds are those of one repeat.

    Args:
        recipe: Its config but for the lists, see :func:`~textxfer_mm.apis.folder_training.recipes.whole_recipe`.
        out: The folder of the run, where it works and leaves its log.
        told: Told how far a training is.
    """

    title = 'whole model, fine-tuned'
    again = 'tools/train.py trains it so again.'
    is_costly = True

    def __init__(self, recipe: Config, out: Path, told: Callable[[str, int, int], None]) -> None:
        self.recipe, self._out, self._told = recipe, out, told
        self._runs, self._total = 0, 0
        self._last: tuple[Any, Fitted] | None = None

    def announce(self, samples: Samples, sizes: Sequence[int], again: bool) -> str:
        """What it is going to do, and how long that takes, by a few steps.

        Args:
            samples: All videos.
            sizes: Numbers of the training videos of the folds.
            again: Whether it would be fitted to all videos afterwards.
        """
        sizes = [*sizes, len(samples.labels)] if again else list(sizes)
        cfg = self._cfg(samples, 0)
        steps = [-(-size // cfg.train_dataloader.batch_size) for size in sizes]
        cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=_TIMED)
        cfg.param_scheduler, cfg.log_processor.by_epoch, cfg.default_hooks.checkpoint = [], False, None
        _, history = self._train(cfg, 'Timing a step')
        seconds = sorted(history.seconds[1:])[0]
        minutes = seconds * sum(steps) * EPOCHS / 60
        self._total = len(sizes)
        runs = f'{len(sizes)} runs, the last only if it is the best' if again else 'one run'
        return (
            f'whole model: {runs}; {EPOCHS} epochs of {max(steps)} steps each, about {minutes:.1f} min in all by the '
            f'{seconds:.2f} s of a step just measured. Ctrl-C leaves it out and keeps the best of the others'
        )

    def fit(self, samples: Samples, seed: int) -> Fitted:
        """Train it, unless that was the last thing done: after a single split the best was trained on these videos."""
        key = (samples.files.tolist(), samples.labels.tolist(), seed)
        if self._last is None or self._last[0] != key:
            self._last = None  # one model at a time is kept
            self._last = key, self._fitted(samples, seed)
        return self._last[1]

    def _fitted(self, samples: Samples, seed: int) -> Fitted:
        """Train it."""
        self._runs += 1
        title = f'Fine-tuning, run {self._runs} of {max(self._runs, self._total)}'
        model, history = self._train(self._cfg(samples, seed), title)
        parts = {name: part for name, part in model.named_children() if name in ('backbone', 'neck', 'cls_head')}
        settings = dict(epochs=EPOCHS, last_loss=history.losses[-1])
        return Fitted(lambda given: self._scores(model, given), settings, parts)

    @property
    def _work_dir(self) -> Path:
        return self._out / 'finetune'

    def _cfg(self, samples: Samples, seed: int) -> Config:
        """The config of one run on some videos."""
        file = self._out / 'finetune.txt'
        write_list(file, samples.files, samples.labels.tolist())
        cfg = with_lists(self.recipe, dict(train=file), seed)
        cfg.work_dir, cfg.experiment_name = str(self._work_dir), f'finetune_{time.time_ns()}'
        cfg.default_hooks.checkpoint = None  # the weights are taken as they are in memory
        cfg.visualizer, cfg.vis_backends = None, None
        return cfg

    def _train(self, cfg: Config, title: str) -> tuple[nn.Module, History]:
        """Run a training, of which the log alone stays."""
        try:
            with logging_to(self._out / LOG):
                model, _, history = train(cfg, lambda done, total: self._told(title, done, total))
        finally:
            shutil.rmtree(self._work_dir, ignore_errors=True)
        return model, history

    def _scores(self, model: nn.Module, samples: Samples) -> Tensor:
        """Probabilities (n, K) of videos, as ``tools/test.py`` has them."""
        file = self._out / 'finetune.txt'
        write_list(file, samples.files, samples.labels.tolist())
        found = score_videos(model, loader(file, self.recipe.test_pipeline))
        file.unlink()
        if len(found.values) != len(samples.labels):
            raise UserError(f'{len(samples.labels) - len(found.values)} videos cannot be decoded any more.')
        return torch.from_numpy(found.values)
