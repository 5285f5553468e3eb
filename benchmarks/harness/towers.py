"""Towers: pre-trainings that runs start from. Each is trained once in a folder and goes on after a stop anywhere."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from mmengine.config import Config
from mmengine.dist import all_reduce, is_main_process
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings
from safetensors.torch import load_file
from torch.multiprocessing import ProcessExitedException, ProcessRaisedException

from harness.page import Say
from harness.ranks import on_ranks
from harness.runs import Run, keyed_parts
from textxfer_mm.apis import load_config
from textxfer_mm.compat import close_process_group
from textxfer_mm.engine.checkpoint import load_checkpoint_file, state_of
from textxfer_mm.engine.hooks import ResumeHook
from textxfer_mm.engine.resuming import choose_resume
from textxfer_mm.engine.runners import build_runner, require_exact_resume
from textxfer_mm.errors import UserError
from textxfer_mm.files import write_text

#: Stands for the folder of its tower in the config of a run.
TOWER = '<tower>'
#: Where :class:`SaveCLIPHook` leaves the weights in that folder.
WEIGHTS = 'open_clip/open_clip_model.safetensors'
#: The validations so far, in the folder of a tower.
VALIDATIONS = 'validations.json'
#: What is kept of a loss curve at most.
POINTS = 200


@dataclass(frozen=True)
class Tower:
    """A pre-training.

    Attributes:
        name: Its name; the row of its own numbers is called ``tower-<name>``.
        base: The config it changes: a path from ``configs/``.
        edit: Changes the config, whose seed is set.
        ranks: Processes that train together; the batch size of the config is that of all of them.
        seed: Seed of all that is drawn.
        weights: The file that training leaves in the folder of the tower (its ``work_dir``).
        version: Raised where an equal config would give another tower; any plain value.
    """

    name: str
    base: str
    edit: Callable[[Config], None]
    ranks: int = 1
    seed: int = 0
    weights: str = WEIGHTS
    version: Any = 1

    def config(self) -> Config:
        """The whole config; its work dir is still to be set."""
        cfg = load_config(self.base)
        cfg.randomness = dict(seed=self.seed)
        self.edit(cfg)
        cfg.train_dataloader.batch_size //= self.ranks
        return cfg

    @cached_property
    def run(self) -> Run:
        """The run that reads its numbers, and whose key is that of the tower."""
        parts = keyed_parts(self.config(), ('val_evaluator', 'val_cfg'))
        return Run(f'tower-{self.name}', self.seed, dict(config=parts, ranks=self.ranks, version=self.version))

    def folder(self, root: Path) -> Path:
        """Where it lies in the folder of a page."""
        return (root / 'towers' / f'{self.name}-{self.run.key}').resolve()

    def result(self, root: Path) -> dict[str, Any]:
        """What was measured of it, see :func:`ensure`.

        Raises:
            UserError: It has not been trained in this folder.
        """
        try:
            return json.loads((self.folder(root) / 'result.json').read_text(encoding='utf-8'))
        except FileNotFoundError as error:
            raise UserError(f'the tower {self.name!r} is not trained in {root}: run the whole command.') from error


def fill(value: Any, folder: Path) -> Any:
    """Put the folder of a tower in the place of :data:`TOWER`, anywhere in plain values."""
    if isinstance(value, str):
        return value.replace(TOWER, str(folder))
    if isinstance(value, Mapping):
        return {key: fill(one, folder) for key, one in value.items()}
    return type(value)(fill(one, folder) for one in value) if isinstance(value, list | tuple) else value


def ensure(tower: Tower, root: Path, say: Say) -> dict[str, Any]:
    """Train a tower, unless that was done; where it was stopped, it goes on from its newest checkpoint.

    Returns:
        ``loss_curve`` (at most 200 means, each with its last step), ``validations`` (all results with the samples seen
        before), ``samples``, ``seconds`` and ``cpu_seconds`` of all processes without what a stop lost, ``at_once``
        (nothing else is done beside it), and the ``sha256`` of the weights. It is kept in ``result.json``.

    Raises:
        UserError: It did not finish.
    """
    folder = tower.folder(root)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / 'lock')  # two commands may be at work in one folder
    try:
        held = lock.acquire(timeout=0)
    except Timeout:
        say(f'tower {tower.name}: waiting for another command, which trains it')
        held = lock.acquire()
    with held:
        if not (folder / 'result.json').exists():
            measured = _train(tower, folder, say)
            told = dict(measured, at_once=1, sha256=weights_digest(folder / tower.weights))
            write_text(folder / 'result.json', json.dumps(told) + '\n')
            say(f'tower {tower.name}: done, {measured["seconds"]:.0f} s of training in all')
    return tower.result(root)


def _train(tower: Tower, folder: Path, say: Say) -> dict[str, Any]:
    """Train a tower in processes of its own."""
    cfg, log = tower.config(), folder / 'train.log'
    cfg.work_dir = str(folder)
    checkpoint = dict((cfg.get('default_hooks') or {}).get('checkpoint') or dict(type='CheckpointHook', interval=1))
    cfg.merge_from_dict(dict(default_hooks=dict(checkpoint=dict(checkpoint, max_keep_ckpts=1, save_best=None))))
    found = choose_resume(cfg, 'auto')
    goes_on = f'goes on after {found.iter} steps' if found else 'begins'
    say(f'tower {tower.name}: training {goes_on}, see {log}')
    try:
        measured = on_ranks(tower.ranks, pretrain, cfg, log=log)
    except (ProcessRaisedException, ProcessExitedException) as error:
        with log.open('a') as file:
            file.write(f'{error}\n')
        last = str(error).strip().splitlines()[-1].split('UserError: ')[-1]
        raise UserError(
            f'the tower {tower.name!r} was not trained to its end ({last}). See {log}; the same command goes on from '
            'its newest checkpoint.'
        ) from error
    if not (folder / tower.weights).exists():
        raise UserError(f'the tower {tower.name!r} left no {tower.weights}: its config needs the hook that saves it.')
    return measured


def weights_digest(file: Path) -> str:
    """SHA-256 of the tensors in a ``.safetensors`` file or a checkpoint, whenever it was saved."""
    state = load_file(file) if file.suffix == '.safetensors' else state_of(load_checkpoint_file(file), file)
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}'.encode())
        digest.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def pretrain(cfg: Config) -> dict[str, Any]:
    """Train a config, or the rest of it, in its work dir; what :func:`ensure` returns, but for the weights."""
    import_modules_from_strings(**cfg.get('custom_imports', dict(imports=[])))  # a new process knows no class yet
    init_default_scope(cfg.default_scope)
    runner, progress = build_runner(cfg), _Progress()
    runner.register_hook(progress)
    runner.register_hook(ResumeHook())
    if cfg.get('resume'):
        require_exact_resume(runner)
    runner.train()
    losses = runner.message_hub.get_scalar('train/loss').data[0]
    close_process_group()
    validations = _validations(cfg.work_dir)
    return dict(
        progress.told,
        loss_curve=thinned(losses),
        validations=[validations[number] for number in sorted(validations, key=int)],
    )


def thinned(losses: Sequence[float], points: int = POINTS) -> list[list[float]]:
    """At most so many points of a curve: the last step of each stretch of equal length, and the mean over it."""
    width = -(-len(losses) // points) or 1
    ends = [min(start + width, len(losses)) for start in range(0, len(losses), width)]
    return [[end, round(float(np.mean(losses[start:end])), 5)] for start, end in zip([0, *ends], ends, strict=False)]


class _Progress(Hook):
    """Counts samples and time of all processes over all goes of a training, and writes down its validations.

    What was counted is in each checkpoint, so that a run that goes on counts from there.
    """

    priority = 'VERY_HIGH'  # before the checkpoint that is to hold it

    def before_train(self, runner: Runner) -> None:
        """Go on with what the checkpoint told."""
        begun = runner.message_hub.runtime_info.get('progress')
        self.told = dict(begun or dict(samples=0, seconds=0.0, cpu_seconds=0.0))
        self._clocks = _clocks()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Count the samples of a step."""
        self._count(runner, len(data_batch['data_samples']))

    def after_val_epoch(self, runner: Runner, metrics: Mapping[str, float] | None = None) -> None:
        """Write down what was measured; on disk before anything else remembers that it was."""
        self._count(runner, 0)
        if not is_main_process():
            return
        measured = {name: float(value) for name, value in (metrics or {}).items()}
        validations = dict(_validations(runner.work_dir), **{str(runner.iter): [self.told['samples'], measured]})
        write_text(Path(runner.work_dir) / VALIDATIONS, json.dumps(validations))

    def _count(self, runner: Runner, samples: int) -> None:
        """Add what has been since the last time, of all processes."""
        before, self._clocks = self._clocks, _clocks()
        wall, processor = (now - then for now, then in zip(self._clocks, before, strict=True))
        of_all = torch.tensor([samples, processor], dtype=torch.float64)
        all_reduce(of_all)
        self.told['samples'] += int(of_all[0])
        self.told['seconds'] += wall
        self.told['cpu_seconds'] += float(of_all[1])
        runner.message_hub.update_info('progress', dict(self.told))


def _clocks() -> tuple[float, float]:
    """Wall and processor time, in seconds."""
    return time.perf_counter(), sum(os.times()[:4])


def _validations(work_dir: str | Path) -> dict[str, list[Any]]:
    """The samples seen and the results of each validation, by the steps that were done."""
    try:
        return json.loads((Path(work_dir) / VALIDATIONS).read_text(encoding='utf-8'))
    except FileNotFoundError:
        return {}
