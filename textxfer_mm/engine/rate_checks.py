"""Rates, decays and schedules of a config are numbers: what is none would end in the middle of a run."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config
from torch import Tensor

from textxfer_mm.errors import UserError, shown

#: What is a number wherever it stands in an optimizer, its wrapper or a schedule; what ends in ``_mult`` is one too.
_NUMBERS = (
    *('lr', 'weight_decay', 'momentum', 'eps', 'alpha', 'dampening', 'rho', 'lr_decay', 'lambd', 'max_norm'),
    *('clip_value', 'accumulative_counts', 'begin', 'end', 'T_max', 'eta_min', 'gamma', 'start_factor', 'end_factor'),
    *('power', 'step_size', 'eta_max', 'total_steps', 'pct_start', 'div_factor', 'final_div_factor', 'factor'),
)
#: What is a list of numbers.
_LISTS = ('betas', 'milestones', 'etas')


def check_rates(cfg: Config) -> None:
    """Check the numbers of ``optim_wrapper`` and ``param_scheduler``.

    Raises:
        UserError: One is no number; None is let pass, which many arguments take.
    """
    for name in ('optim_wrapper', 'param_scheduler'):
        for place, key, value in _values(cfg.get(name), name):
            if key in _LISTS:
                if not isinstance(value, list | tuple) or not all(map(_is_number, value)):
                    raise UserError(f'{place}={shown(repr(value))} of the config: a list of numbers is expected.')
            elif key == 'eps' and isinstance(value, list | tuple):  # Adafactor's two
                if not all(one is None or _is_number(one) for one in value):
                    raise UserError(f'{place}={shown(repr(value))} of the config: numbers are expected.')
            elif (key in _NUMBERS or key.endswith('_mult')) and not (
                value is None or isinstance(value, Mapping) or _is_number(value)
            ):
                raise UserError(f'{place}={shown(repr(value))} of the config is no number.')


def _values(node: Any, place: str) -> Iterator[tuple[str, str, Any]]:
    """Yield place, key and value of all that is below a part of a config."""
    items = node.items() if isinstance(node, Mapping) else ()
    for key, value in items:
        yield f'{place}.{key}', str(key), value
        yield from _values(value, f'{place}.{key}')
    for number, value in enumerate(node if isinstance(node, list | tuple) else ()):
        yield from _values(value, f'{place}[{number}]')


def _is_number(value: Any) -> bool:
    if isinstance(value, Tensor):
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
