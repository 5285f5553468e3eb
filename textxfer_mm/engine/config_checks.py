"""Checks of a whole config before a run starts: a slip costs seconds and one line, and leaves no work dir behind."""

import inspect
import math
import multiprocessing
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin, OneCycleLR
from mmengine.registry import FUNCTIONS, OPTIM_WRAPPERS, OPTIMIZERS, PARAM_SCHEDULERS
from mmengine.runner import set_random_seed
from mmengine.utils.dl_utils import set_multi_processing
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.utils.data import DataLoader

from textxfer_mm.engine.config_keys import check_shapes
from textxfer_mm.engine.config_parts import check_parts
from textxfer_mm.engine.metric_checks import check_metrics
from textxfer_mm.engine.rate_checks import check_rates
from textxfer_mm.errors import UserError, first_line, nearest, shown
from textxfer_mm.registry import look_up
from textxfer_mm.registry_errors import no_type, unknown_type

#: What MMEngine takes out of a dataloader's config before the rest reaches PyTorch.
_OF_RUNNER = ('dataset', 'sampler', 'worker_init_fn', 'num_batch_per_epoch', 'disable_subprocess_warning')
#: What can be tried on any dataset.
_PLAIN = (
    *('batch_size', 'num_workers', 'persistent_workers', 'pin_memory', 'drop_last', 'timeout', 'prefetch_factor'),
    'multiprocessing_context',
)
#: A dataloader with a sampler takes no argument that shuffles.
_SHUFFLE = " Shuffling is the sampler's: sampler=dict(type='DefaultSampler', shuffle=True)."
#: Parts of a config in which a text that reads as a number should be one, and words of keys for which it may be text.
_NUMERIC = (
    'optim_wrapper',
    'param_scheduler',
    'train_cfg',
    'auto_scale_lr',
    'randomness',
    'log_processor',
    'default_hooks',
    'custom_hooks',
)
_TEXTS = ('dir', 'file', 'name', 'path', 'tmpl', 'prefix', 'norm_type', 'dataset', 'type')


def check_config(cfg: Config, phases: Sequence[str]) -> None:
    """Check all that a run builds, without building it.

    Args:
        cfg: A whole config.
        phases: The dataloaders that are used: 'train', 'val', 'test'.

    Raises:
        UserError: At the first mistake found.
    """
    check_shapes(cfg, Path(cfg.filename or 'the config').name)
    _check_groups(cfg)
    for place, value in _texts_for_numbers(cfg, phases):
        raise UserError(f'{place}={value!r} of the config is text where a number is expected: write {value.strip()}.')
    check_parts(cfg, phases)
    for phase in phases:
        _check_loader(cfg[f'{phase}_dataloader'], f'{phase}_dataloader')
    if 'train' in phases:
        check_rates(cfg)
        _check_optimizer(cfg)
        _check_clipping(cfg.optim_wrapper)
        _check_schedulers(cfg)
        _check_lengths(cfg.train_cfg)
        _check_scaling(cfg.get('auto_scale_lr') or {})
    _check_environment(cfg)
    check_metrics(cfg, phases)


def _check_groups(cfg: Config) -> None:
    """Check that what MMEngine takes together is there together."""
    for group in (
        ('train_dataloader', 'train_cfg', 'optim_wrapper'),
        ('val_dataloader', 'val_cfg', 'val_evaluator'),
        ('test_dataloader', 'test_cfg', 'test_evaluator'),
    ):
        missing = [name for name in group if cfg.get(name) is None]
        if missing and len(missing) < len(group):
            given = ', '.join(name for name in group if name not in missing)
            raise UserError(f'The config has {given}, but not {", ".join(missing)}: give all of them, or none.')


def _texts_for_numbers(cfg: Config, phases: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the places of texts that read as numbers, such as a rate of '0.01' (YAML takes 1e-3 for text)."""
    for name in (*_NUMERIC, *(f'{phase}_dataloader' for phase in phases)):
        yield from _texts(cfg.get(name), name)


def _texts(node: Any, place: str) -> Iterator[tuple[str, str]]:
    items = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list | tuple) else ()
    for key, value in items:
        inner = f'{place}[{key}]' if isinstance(key, int) else f'{place}.{key}'
        if isinstance(key, str) and any(word in key for word in _TEXTS):
            continue
        if isinstance(value, str) and _is_number(value):
            yield inner, value
        yield from _texts(value, inner)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _check_loader(loader: Mapping[str, Any], name: str) -> None:
    """Check what a dataloader is made of besides its dataset."""
    for key in ('dataset', 'sampler'):
        if loader.get(key) is None:
            raise UserError(f'The config lacks something: {name}.{key}, as dict(type=..., ...).')
    known = {*inspect.signature(DataLoader.__init__).parameters, *_OF_RUNNER} - {'self', 'shuffle'}
    for key in loader:
        if key not in known:
            hint = _SHUFFLE if key == 'shuffle' else nearest(key, known)
            raise UserError(f'The config has a wrong argument of DataLoader in {name}: {shown(key)!r}.{hint}')
    _require_whole(loader, ('batch_size', 'num_workers'), name)
    for key in ('worker_init_fn', 'collate_fn'):
        if isinstance(loader.get(key), Mapping):
            kind = loader[key].get('type')
            if kind is None:
                raise no_type(f'{name}.{key}', dict(loader[key]))
            if isinstance(kind, str) and FUNCTIONS.get(kind) is None:  # as MMEngine does, whatever the scope
                raise unknown_type(kind, FUNCTIONS.name)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of more workers than cores: the real one says so
        _try(lambda: DataLoader([0], **{key: loader[key] for key in _PLAIN if key in loader}), name)


def _check_optimizer(cfg: Config) -> None:
    """Try PyTorch's own optimizers on one number; those of others may want more of a model."""
    node = cfg.optim_wrapper.get('optimizer')
    kind = node.get('type') if isinstance(node, Mapping) else None
    kind = look_up(kind, OPTIMIZERS)
    if isinstance(kind, type) and kind.__module__.startswith('torch.optim'):
        given = {key: value for key, value in node.items() if key not in ('type', '_scope_')}
        _try(lambda: kind([torch.nn.Parameter(torch.zeros(1))], **given), 'optim_wrapper.optimizer')


def _check_clipping(wrapper: Mapping[str, Any]) -> None:
    """Try the clipping of gradients on none; the wrapper reads its settings in the first step."""
    clip, kind = wrapper.get('clip_grad'), look_up(wrapper.get('type', 'OptimWrapper'), OPTIM_WRAPPERS)
    if clip is None or not isinstance(kind, type) or not issubclass(kind, OptimWrapper):
        return
    functions = dict(norm=clip_grad_norm_, value=clip_grad_value_)
    name = clip.get('type', 'norm') if isinstance(clip, Mapping) else None
    if name not in functions:
        raise UserError(
            f'optim_wrapper.clip_grad={shown(repr(clip))} of the config: dict(max_norm=...) is expected, or '
            "dict(type='value', clip_value=...)."
        )
    given = {key: value for key, value in clip.items() if key != 'type'}
    _try(lambda: functions[name]([], **given), 'optim_wrapper.clip_grad')


def _check_schedulers(cfg: Config) -> None:
    """Try the schedulers of rates on one number."""
    for number, node in enumerate(cfg.get('param_scheduler') or ()):
        kind = look_up(node.get('type'), PARAM_SCHEDULERS) if isinstance(node, Mapping) else None
        if isinstance(kind, type) and issubclass(kind, LRSchedulerMixin) and kind is not OneCycleLR:  # wants a length
            left_out = ('type', '_scope_', 'convert_to_iter_based', 'epoch_length')
            given = {key: value for key, value in node.items() if key not in left_out}
            optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
            _try(partial(kind, optimizer, **given), f'param_scheduler[{number}]')


def _check_lengths(loop: Mapping[str, Any]) -> None:
    """Check that the lengths of a training are whole numbers."""
    for key in ('max_epochs', 'max_iters', 'val_interval', 'val_begin'):
        value = loop.get(key, 1)
        if not isinstance(value, int | float) or isinstance(value, bool) or value < 1 or value % 1:
            raise UserError(f'train_cfg.{key} of the config is a whole number of at least 1, got {shown(repr(value))}.')


def _require_whole(node: Mapping[str, Any], keys: Sequence[str], place: str) -> None:
    """Check that what is given of some keys are whole numbers."""
    for key in keys:
        if not isinstance(node.get(key, 1), int):
            raise UserError(f'{place}.{key} of the config is a whole number, got {shown(repr(node[key]))}.')


def _check_scaling(scaling: Mapping[str, Any]) -> None:
    """Check that the rate can be scaled where that is asked for."""
    if scaling.get('enable') and 'base_batch_size' not in scaling:
        raise UserError(
            'auto_scale_lr of the config needs the batch size that the learning rate was chosen for: '
            'auto_scale_lr=dict(base_batch_size=...).'
        )


def _check_environment(cfg: Config) -> None:
    """Check what MMEngine sets up before it builds anything."""
    randomness, workers = cfg.get('randomness') or {}, (cfg.get('env_cfg') or {}).get('mp_cfg') or {}
    _check_call(randomness, set_random_seed, 'randomness')
    if randomness.get('seed') is not None:
        _require_whole(randomness, ('seed',), 'randomness')
    _check_call(workers, set_multi_processing, 'env_cfg.mp_cfg')
    method, known = workers.get('mp_start_method', 'fork'), multiprocessing.get_all_start_methods()
    if method not in known:
        raise UserError(f'env_cfg.mp_cfg.mp_start_method={shown(method)!r} is none.{nearest(method, known)}')


def _try(build: Any, place: str) -> None:
    try:
        build()
    except (TypeError, ValueError, AssertionError, IndexError, AttributeError) as error:
        raise UserError(f'{place} of the config cannot be built: {first_line(error)}.') from error


def _check_call(arguments: Mapping[str, Any], function: Any, place: str) -> None:
    """Check arguments that MMEngine hands to a function of its own."""
    known = inspect.signature(function).parameters
    for key in arguments:
        if key not in known:
            raise UserError(f'The config has a wrong argument in {place}: {shown(key)!r}.{nearest(key, known)}')
