"""Work that trains: rows are changes of one base config, each trained and measured with every seed."""

import copy
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings
from torch import nn

from harness.curves import Curve, CurveHook, Quick
from harness.page import Say
from harness.ranks import on_ranks
from harness.runs import Run, keyed_parts
from harness.towers import TOWER, Tower, ensure, fill
from textxfer_mm.apis import load_config
from textxfer_mm.compat import close_process_group
from textxfer_mm.registry import MODELS


@dataclass(frozen=True)
class Setting:
    """What a row changes.

    Attributes:
        name: Name of the row.
        edit: Changes the config.
        ranks: Processes that train together; the batch size of the config is that of all of them.
        before: Called before training with the config and an empty folder, once data and tower are there: makes what
            the config needs of them.
        tower: Name of the tower that the row starts from; in its config :data:`harness.towers.TOWER` stands for the
            folder of it.
        seeds: How many seeds it is run with, the first ones of those asked for; None is all.
        curve: The experiment's quick measure is taken after every so many steps; 0 is never.

    Raises:
        ValueError: A curve is asked for on several ranks, of which each would measure its share alone.
    """

    name: str
    edit: Callable[[Config], None]
    ranks: int = 1
    before: Callable[[Config, Path], None] | None = None
    tower: str = ''
    seeds: int | None = None
    curve: int = 0

    def __post_init__(self) -> None:
        if self.curve and self.ranks > 1:
            raise ValueError(f'the row {self.name!r} has {self.ranks} ranks: a curve is measured on one')


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
        towers: The towers that rows start from, at a scale. The numbers of each are a row as well.
        quick: What the curves of rows are of; see :attr:`Setting.curve`.
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
    towers: Callable[[Any], Sequence[Tower]] = lambda scale: ()
    quick: Quick | None = None

    @cached_property
    def _base(self) -> Config:
        """The base, read once for all runs."""
        return load_config(self.base)

    @cached_property
    def _towers(self) -> dict[str, Tower]:
        """The towers by name."""
        return {tower.name: tower for tower in self.towers(self.scale)}

    @cached_property
    def _numbers(self) -> dict[str, Tower]:
        """The towers by the row of their own numbers."""
        return {tower.run.row: tower for tower in self._towers.values()}

    def started_from(self) -> dict[str, str]:
        """The tower of each row that has one."""
        return {row: setting.tower for row, setting in self.settings.items() if setting.tower}

    def rows(self) -> list[str]:
        """The names of all rows, the towers first."""
        return [*self._numbers, *self.settings]

    def runs(self, seeds: Sequence[int]) -> list[Run]:
        """Towers, which have a seed of their own, and then whole seeds of the rows that are run with them."""
        runs = [
            self.run(row, seed)
            for number, seed in enumerate(seeds)
            for row, setting in self.settings.items()
            if setting.seeds is None or number < setting.seeds
        ]
        return [*(tower.run for tower in self._numbers.values()), *runs]

    def config(self, row: str, seed: int) -> Config:
        """The whole config of a run; its data and its tower are still to be located."""
        setting, cfg = self.settings[row], copy.deepcopy(self._base)
        cfg.randomness = dict(seed=seed)
        self.adapt(cfg, self.scale)
        setting.edit(cfg)
        cfg.train_dataloader.batch_size //= setting.ranks
        return cfg

    def run(self, row: str, seed: int) -> Run:
        """The run of a row with a seed.

        Raises:
            ValueError: The row names a tower and its config does not, or the other way round.
        """
        if row in self._numbers:
            return self._numbers[row].run
        setting = self.settings[row]
        parts = keyed_parts(self.config(row, seed), self.keyed)
        config = dict(config=parts, scale=asdict(self.scale), version=self.version)
        if (TOWER in str(parts)) != bool(setting.tower):
            raise ValueError(f'the row {row!r} starts from the tower {setting.tower!r}: its config must hold {TOWER}')
        if setting.curve:
            config['curve'] = setting.curve
        if setting.tower:
            config['tower'] = self._towers[setting.tower].run.key
        return Run(row, seed, config, setting.ranks)

    def prepare(self, runs: Sequence[Run], folder: Path, say: Say) -> None:
        """Make the data of the seeds of these runs, and the towers that they start from."""
        for seed in sorted({run.seed for run in runs if run.row in self.settings}):
            self.data(folder / 'data', seed, self.scale, say)
        wanted = {self.settings[run.row].tower for run in runs if run.row in self.settings}
        rows = {run.row for run in runs}
        for name, tower in self._towers.items():
            if name in wanted or tower.run.row in rows:
                ensure(tower, folder, say)

    def do(self, run: Run, folder: Path) -> dict[str, Any]:
        """Train and measure a row with a seed; on one rank in this process, on several in processes of their own.

        What started from a tower says which weights that had, as ``tower``. The row of a tower was measured before.
        """
        if run.row in self._numbers:
            return self._numbers[run.row].result(folder)
        setting, cfg = self.settings[run.row], self.config(run.row, run.seed)
        self.locate(cfg, self.data(folder / 'data', run.seed, self.scale, lambda line: None))
        started = {}
        if setting.tower:
            tower = self._towers[setting.tower]
            started = dict(tower=tower.result(folder)['sha256'])
            cfg = Config(fill(cfg.to_dict(), tower.folder(folder)))
        with tempfile.TemporaryDirectory() as work_dir:
            cfg.work_dir = work_dir
            if setting.before:
                setting.before(cfg, Path(work_dir))
            curve = Curve(setting.curve, self.quick) if setting.curve else None
            return dict(on_ranks(setting.ranks, train_and_measure, cfg, self.measure, curve), **started)


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


def train_and_measure(
    cfg: Config, measure: Callable[[nn.Module, Config], Mapping[str, Any]], curve: Curve | None = None
) -> dict[str, Any]:
    """Train a config's model, unless it has no epochs, and measure it.

    Returns:
        What was measured, the ``losses`` and, where there was training, the medians ``step_seconds`` and
        ``step_cpu_seconds``, and the points ``[step, value]`` of the ``curve`` where one is asked for; nothing on other
        ranks than 0.
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
    measures = CurveHook(curve, cfg) if curve else None
    if measures:
        runner.register_hook(measures)
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
        **(dict(curve=measures.points) if measures else {}),
    )
