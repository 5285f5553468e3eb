"""Work that trains: rows are changes of one base config, each trained and measured with every seed."""

import copy
import json
import os
import shutil
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings
from torch import nn

from harness.page import Say
from harness.runs import Run
from textxfer_mm.apis import load_config
from textxfer_mm.compat import close_process_group
from textxfer_mm.files import write_text
from textxfer_mm.registry import MODELS

#: What of a config decides what is trained and measured; where the log goes, for one, is not among it.
KEYED = (
    'model',
    'train_dataloader',
    'val_dataloader',
    'test_dataloader',
    'train_cfg',
    'optim_wrapper',
    'param_scheduler',
    'custom_imports',
    'default_hooks',
    'custom_hooks',
    'load_from',
    'randomness',
)


@dataclass(frozen=True)
class Setting:
    """What a row changes.

    Attributes:
        name: Name of the row.
        edit: Changes the config.
        ranks: Processes that train together; the batch size of the config is that of all of them.
        before: Called before training with the config and an empty folder, once the data are there: makes what the
            config needs of them.
    """

    name: str
    edit: Callable[[Config], None]
    ranks: int = 1
    before: Callable[[Config, Path], None] | None = None


@dataclass(frozen=True)
class Experiment:
    """The work of a page that trains, see :class:`harness.page.Work`.

    Attributes:
        base: The config that all rows change: a path from ``configs/``.
        settings: The rows.
        scale: A dataclass with how large the runs are.
        adapt: Changes the base to a scale, before the rows do; the config's seed is set.
        data: Makes the data of a seed at a scale in a folder, unless they are there, and returns where they lie.
        locate: Points the datasets of a config at the data.
        measure: What is measured of a trained model with its config, on rank 0.
        keyed: Further entries of the config that a result depends on.
        version: Raised where equal configs would give another result; any plain value.
    """

    base: str
    settings: Mapping[str, Setting]
    scale: Any
    adapt: Callable[[Config, Any], None]
    data: Callable[[Path, int, Any, Say], Path]
    locate: Callable[[Config, Path], None]
    measure: Callable[[nn.Module, Config], Mapping[str, Any]]
    keyed: Sequence[str] = ()
    version: Any = 1

    def rows(self) -> list[str]:
        """The names of all rows."""
        return list(self.settings)

    def config(self, row: str, seed: int) -> Config:
        """The whole config of a run; its data are still to be located."""
        setting, cfg = self.settings[row], load_config(self.base)
        cfg.randomness = dict(seed=seed)
        self.adapt(cfg, self.scale)
        setting.edit(cfg)
        cfg.train_dataloader.batch_size //= setting.ranks
        return cfg

    def run(self, row: str, seed: int) -> Run:
        """The run of a row with a seed."""
        cfg = self.config(row, seed).to_dict()
        parts = {key: cfg[key] for key in (*KEYED, *self.keyed) if key in cfg}
        config = dict(config=parts, scale=asdict(self.scale), version=self.version)
        return Run(row, seed, config, self.settings[row].ranks)

    def prepare(self, seed: int, folder: Path, say: Say) -> None:
        """Make the data of a seed."""
        self.data(folder / 'data', seed, self.scale, say)

    def do(self, run: Run, folder: Path) -> dict[str, Any]:
        """Train and measure a row with a seed; on one rank in this process, on several in processes of their own."""
        setting, cfg = self.settings[run.row], self.config(run.row, run.seed)
        self.locate(cfg, self.data(folder / 'data', run.seed, self.scale, lambda line: None))
        with tempfile.TemporaryDirectory() as work_dir:
            cfg.work_dir = work_dir
            if setting.before:
                setting.before(cfg, Path(work_dir))
            return on_ranks(setting.ranks, train_and_measure, cfg, self.measure)


class _StepTimes(Hook):
    """Wall and processor time of each training step, without the loading of its data."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Start both clocks."""
        self._start = time.perf_counter(), time.process_time()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Stop both clocks."""
        self.wall.append(time.perf_counter() - self._start[0])
        self.cpu.append(time.process_time() - self._start[1])


def train_and_measure(cfg: Config, measure: Callable[[nn.Module, Config], Mapping[str, Any]]) -> dict[str, Any]:
    """Train a config's model, unless it has no epochs, and measure it.

    Returns:
        What was measured, the ``losses`` and, where there was training, the medians ``step_seconds`` and
        ``step_cpu_seconds``; nothing on other ranks than 0.
    """
    import_modules_from_strings(**cfg.get('custom_imports', dict(imports=[])))  # a new process knows no class yet
    init_default_scope(cfg.default_scope)
    if not cfg.train_cfg.max_epochs:
        model = MODELS.build(cfg.model)
        model.init_weights()
        return dict(measure(model, cfg), losses=[])
    unused = {f'{split}_{part}': None for split in ('val', 'test') for part in ('dataloader', 'cfg', 'evaluator')}
    runner, times = Runner.from_cfg(Config({**cfg.to_dict(), **unused})), _StepTimes()
    runner.register_hook(times, priority='VERY_LOW')
    model = runner.train()
    rank = get_rank()
    close_process_group()  # else rank 0 would measure its share of the data only
    if rank:
        return {}
    return dict(
        measure(getattr(model, 'module', model), cfg),
        losses=[round(float(loss), 5) for loss in runner.message_hub.get_scalar('train/loss').data[0]],
        step_seconds=statistics.median(times.wall),
        step_cpu_seconds=statistics.median(times.cpu),
    )


def on_ranks(ranks: int, function: Callable[..., Any], cfg: Config, *args: Any) -> Any:
    """Call a function with a config on so many gloo processes of one thread each; one is this process.

    Returns:
        What it returned on rank 0, as plain values.
    """
    if ranks == 1:
        return function(cfg, *args)
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    cfg = copy.deepcopy(cfg)
    cfg.launcher = 'pytorch'
    folder = Path(tempfile.mkdtemp())
    try:
        torch.multiprocessing.spawn(_rank, (ranks, port, folder, function, cfg, *args), nprocs=ranks)
        return json.loads((folder / 'result.json').read_text())
    finally:
        shutil.rmtree(folder)


def _rank(rank: int, ranks: int, port: int, folder: Path, function: Callable[..., Any], *args: Any) -> None:
    """What each of the processes does."""
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(ranks), MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port)
    )
    torch.set_num_threads(1)
    result = function(*args)
    if rank == 0:
        write_text(folder / 'result.json', json.dumps(result))
