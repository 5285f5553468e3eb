"""What MMEngine logged of a training, as a curve over the iterations."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from textxfer_mm.errors import UserError, nearest


@dataclass(frozen=True)
class TrainingCurve:
    """A logged scalar.

    Attributes:
        name: What the run is called.
        iterations: Where it was logged, increasing.
        epochs: The same in epochs; None where the run was not counted in epochs.
        values: What was logged; what was not finite is NaN (or infinite, in logs of MMEngine itself).
    """

    name: str
    iterations: np.ndarray
    epochs: np.ndarray | None
    values: np.ndarray

    def bad_values(self) -> str | None:
        """One line about values that are NaN or infinite; None where there are none."""
        bad = ~np.isfinite(self.values)
        if not bad.any():
            return None
        first = self.iterations[bad.argmax()]
        return f'{self.name}: {bad.sum()} of {len(bad)} values are NaN or infinite, the first at iteration {first}.'


def read_training_curve(path: str | Path, *, key: str = 'loss', name: str | None = None) -> TrainingCurve:
    """Read a scalar of a run.

    Args:
        path: A work dir, or one log in JSON lines (``vis_data/scalars.json``). In a work dir the log of a resumed run
            takes the place of what earlier ones logged from its first iteration on.
        key: The scalar, such as ``loss``, ``loss_cls``, ``top1_acc`` or ``grad_norm``.
        name: What to call the run; None is the name of the work dir.

    Raises:
        UserError: There is no log, or it does not hold the scalar.
    """
    path = Path(path).expanduser()
    entries: list[dict[str, Any]] = []
    for log in _logs(path):
        later = _training_entries(log)
        if later:
            entries = [entry for entry in entries if entry['step'] < later[0]['step']] + later
    if not entries:
        raise UserError(f'{path} holds no log of a training: no line has an iteration ("step", "iter").')
    chosen = [entry for entry in entries if isinstance(entry.get(key), int | float)]
    if not chosen:
        known = {k for entry in entries for k, value in entry.items() if isinstance(value, int | float)}
        raise UserError(f'{path} holds no {key!r}.{nearest(key, known - {"step", "iter", "epoch"})}')
    steps = np.array([entry['step'] for entry in chosen])
    size = _iterations_of_an_epoch(entries)
    return TrainingCurve(
        name or _name_of(path), steps, steps / size if size else None, np.array([float(e[key]) for e in chosen])
    )


def _logs(path: Path) -> list[Path]:
    """The logs of a run, oldest first."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError(f'{path} does not exist. Give a work dir, or its log vis_data/scalars.json.')
    logs = sorted(path.glob('*/vis_data/scalars.json')) or sorted(path.glob('vis_data/scalars.json'))
    logs = logs or sorted(path.glob('scalars.json'))
    if not logs:
        raise UserError(f'{path} holds no TIMESTAMP/vis_data/scalars.json: it is no work dir of a training run.')
    return logs


def _training_entries(log: Path) -> list[dict[str, Any]]:
    """The lines of the training loop; those of validation have no ``iter``, and their step is an epoch."""
    entries = [entry for entry in _lines(log) if 'iter' in entry and isinstance(entry.get('step'), int)]
    return sorted(entries, key=lambda entry: entry['step'])


def _lines(log: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file, one a line; the last line of a killed run may be cut off."""
    lines = [line for line in log.read_text(encoding='utf-8', errors='replace').splitlines() if line.strip()]
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines) > 1:
                return
            raise UserError(
                f'{log}, line {number}, is no JSON ({error.msg}); give a log such as scalars.json.'
            ) from error
        if isinstance(entry, dict):
            yield {key: math.nan if value is None else value for key, value in entry.items()}


def _iterations_of_an_epoch(entries: Sequence[dict[str, Any]]) -> float | None:
    """How many iterations an epoch has, from the last ones that were logged of each; None without epochs.

    MMEngine logs the last iteration of each epoch (``ignore_last=False``); otherwise this is too small by less than the
    logging interval. The last epoch counts only where it is the only one, since the run may not have finished it.
    """
    last: dict[int, int] = {}
    for entry in entries:
        if isinstance(entry.get('epoch'), int):
            last[entry['epoch']] = max(entry['step'], last.get(entry['epoch'], 0))
    finished = sorted(last)[:-1] or sorted(last)
    return max((last[epoch] / epoch for epoch in finished), default=None)


def _name_of(path: Path) -> str:
    """The name of the work dir that a path is, or lies in."""
    parts = path.resolve().parts
    if 'vis_data' in parts:
        return parts[max(parts.index('vis_data') - 2, 0)]
    return path.stem if path.is_file() else path.resolve().name
