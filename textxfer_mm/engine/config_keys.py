"""The names at the top of a config: which of them are read by something, and which are misspelt."""

import inspect
import logging
import re
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from mmengine.config import Config

from textxfer_mm.errors import UserError, closest, first_few, nearest, shown
from textxfer_mm.inputs import SPLITS

#: Names besides the runner's that something reads: MMEngine, the inferencers and tools.
_READ = (
    *('custom_imports', 'runner_type', 'strategy', 'compile', 'tta_model', 'tta_pipeline', 'terminal'),
    *('train_pipeline', 'val_pipeline', 'test_pipeline', 'vis_backends'),
)
#: The share of letters in common from which a name that nothing reads is taken for another one.
_LIKENESS = 0.8
#: The most letters that a slip of the fingers adds, drops and changes (which counts twice).
_SLIP = 3
#: The kinds of values that the runner reads, their names at the top of a config, and what to call the kinds.
_SHAPES = {
    (Mapping,): (
        (
            *('model', 'optim_wrapper', 'default_hooks', 'env_cfg', 'randomness', 'auto_scale_lr', 'visualizer'),
            *(f'{phase}_{part}' for phase in SPLITS for part in ('dataloader', 'cfg')),
        ),
        'a dict',
    ),
    (Mapping, list, tuple): (('val_evaluator', 'test_evaluator', 'param_scheduler'), 'a dict or a list of dicts'),
    (list, tuple): (('custom_hooks',), 'a list'),
    (str,): (('load_from', 'work_dir', 'log_level', 'default_scope', 'experiment_name', 'terminal'), 'text'),
    (bool,): (('resume',), 'True or False'),
}
_LEVELS = ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')
#: What a terminal may show of a run.
_TERMINALS = ('summary', 'log')


def known_keys() -> set[str]:
    """The names at the top of a config that MMEngine's runner or a tool reads."""
    from mmengine.runner import Runner  # torch: not for whoever has no config

    return {*inspect.signature(Runner.__init__).parameters, *_READ} - {'self', 'cfg'}


def check_keys(cfg: Config, source: str | Path) -> None:
    """Check that no name of a config file is a misspelt one of the runner's.

    A config may define variables of its own. They are told from misspellings by being read, in the file or in those
    that inherit from it, by being like no name that is known, or by standing beside a name that they are like without
    being nearly it (as in the whole configs that runs write, where nothing is read any more).

    Args:
        cfg: What the file holds.
        source: The file, for the message.

    Raises:
        UserError: A name that nothing reads is spelled nearly as one that is known.
    """
    known = known_keys()
    # Names in a value, as opposed to those that a value is given to; other files than Python hold values only.
    text = re.sub(r'#.*', '', cfg.text) if str(cfg.filename or '').endswith('.py') else ''
    own = Path(cfg.filename).read_text(encoding='utf-8') if cfg.filename else ''
    for key in cfg:
        if key in known or re.search(rf'\b{re.escape(key)}\b(?!\s*=(?!=))', text):
            continue
        meant = [name for name in closest(key, known, 1, _LIKENESS) if not _is_variant(key, name)]
        meant = [name for name in meant if _are_nearly_equal(key, name) or not re.search(rf'\b{name}"?\s*[=:]', own)]
        if meant:
            raise UserError(
                f'config {source}: nothing reads {shown(key)!r}. Did you mean: {meant[0]}? (Variables of your own need '
                'names less like it.)'
            )


def _is_variant(key: str, name: str) -> bool:
    """Whether one name is the other with a word or number more, as ``train_pipeline_8frames``: no misspelling."""
    return key.startswith(f'{name}_') or key.endswith(f'_{name}') or key.rstrip('0123456789') == name


def _are_nearly_equal(key: str, name: str) -> bool:
    """Whether a letter or two make one name of the other."""
    different = (1 - SequenceMatcher(None, key, name).ratio()) * (len(key) + len(name))
    return different <= _SLIP


def check_shapes(cfg: Config, source: str | Path) -> None:
    """Check that what the runner reads is a dict, a list or text as it expects.

    Args:
        cfg: A config.
        source: Its file, for the message.

    Raises:
        UserError: Something is of another kind; a comma behind a dict makes it a tuple.
    """
    for kinds, (names, wanted) in _SHAPES.items():
        for name in names:
            value = cfg.get(name)
            if value is None or isinstance(value, kinds):
                continue
            comma = '; take away the comma behind it' if isinstance(value, tuple) and len(value) == 1 else ''
            raise UserError(f'{name} of {source} is a {type(value).__name__}, and {wanted} is expected{comma}.')
    level = cfg.get('log_level')
    if level is not None and not isinstance(logging.getLevelName(level), int):
        raise UserError(f'log_level={shown(level)!r} of {source} is none.{nearest(level, _LEVELS)}')
    terminal = cfg.get('terminal')
    if terminal is not None and terminal not in _TERMINALS:
        raise UserError(
            f"terminal={shown(terminal)!r} of {source} is neither 'summary' (a line an epoch) nor 'log' (all)."
        )


def check_options(options: Mapping[str, Any], cfg: Config, source: str | Path) -> None:
    """Check that ``--cfg-options`` change what the config has or the runner reads.

    Args:
        options: Values by dotted keys.
        cfg: The config that they change.
        source: Its file, for the message.

    Raises:
        UserError: The first part of a key is neither; it would have no effect.
    """
    known = {*known_keys(), *cfg}
    for option in options:
        key = option.partition('.')[0]
        if key in known:
            continue
        deeper = list(_paths_to(key, cfg))
        meant = closest(key, known)
        hint = f' Did you mean: {first_few([*deeper, *meant])}?' if deeper or meant else ''
        raise UserError(
            f'--cfg-options: {source} has no {shown(key)!r}, and nothing would read {shown(option)!r}.{hint}'
        )


def _paths_to(key: str, node: Any, path: str = '') -> Iterator[str]:
    """The dotted keys of a config that end in a key."""
    items = node.items() if isinstance(node, Mapping | Config) else enumerate(node) if isinstance(node, list) else ()
    for name, value in items:
        if name == key:
            yield f'{path}{name}'
        yield from _paths_to(key, value, f'{path}{name}.')
