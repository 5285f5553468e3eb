"""Runs, and the file that keeps the results of finished ones."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mmengine.config import Config

from textxfer_mm.errors import UserError

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


def keyed_parts(cfg: Config, more: Sequence[str] = ()) -> dict[str, Any]:
    """What of a config decides its result, as plain values; ``more`` names further entries."""
    cfg = cfg.to_dict()
    return {key: cfg[key] for key in (*KEYED, *more) if key in cfg}


@dataclass(frozen=True)
class Run:
    """One row of a page with one seed.

    Attributes:
        row: Name of the row.
        seed: Seed of all that is drawn.
        config: All that the result depends on besides the seed, as plain values.
        ranks: Processes that the run takes.
    """

    row: str
    seed: int
    config: Mapping[str, Any]
    ranks: int = 1

    @cached_property
    def key(self) -> str:
        """Hash of all that the result depends on: equal for equal runs, on every machine and in every process."""
        parts = json.dumps([self.config, self.seed, self.ranks], sort_keys=True)
        return hashlib.sha256(parts.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        return f'{self.row}, seed {self.seed}'


class ResultsFile:
    """Results of finished runs, one JSON object a line, by the key of the run.

    Lines are only ever appended, so that files of several machines can be joined in any order. Results whose run no
    longer exists, since its config has changed, stay in the file and are not used.

    Args:
        path: The file; it need not exist yet.

    Raises:
        UserError: A line is no result.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._by_key: dict[str, dict[str, Any]] = {}
        lines = path.read_text(encoding='utf-8').splitlines() if path.exists() else []
        for number, line in enumerate(lines, 1):
            try:
                result = json.loads(line)
                self._by_key[result['key']] = result
            except (ValueError, TypeError, KeyError) as error:
                raise UserError(f'{path}, line {number} is no result of a run: remove it and run again.') from error

    def __contains__(self, run: Run) -> bool:
        return run.key in self._by_key

    def __getitem__(self, run: Run) -> dict[str, Any]:
        return self._by_key[run.key]

    def of(self, runs: Sequence[Run]) -> list[dict[str, Any]]:
        """The results of those runs that are finished, with the row and the seed of each."""
        return [{**self[run], 'row': run.row, 'seed': run.seed} for run in runs if run in self]

    def append(self, result: Mapping[str, Any]) -> None:
        """Keep the result of a run, with its ``key``; it is on disk when this returns."""
        self._by_key[result['key']] = dict(result)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open('a', encoding='utf-8') as file:
            file.write(json.dumps(result) + '\n')
