"""The parts of a config that MMEngine builds: each has a ``type`` that is known and arguments that it takes.

Nothing is built: signatures tell. Otherwise such a mistake would end the run where the part is built, after the data
were read, the work dir made and the whole config written to the log, or after an epoch.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from mmengine import registry as registries
from mmengine.config import Config
from mmengine.registry import DefaultScope, Registry
from mmengine.runner import Priority, get_priority

from textxfer_mm.errors import UserError, shown
from textxfer_mm.inputs import SPLITS
from textxfer_mm.registry import look_up
from textxfer_mm.registry_errors import accepted_arguments, missing_arguments, no_type, unknown_type, wrong_argument

#: Prefixes of backbones that MMAction2 itself looks up elsewhere.
_FOREIGN = ('timm.', 'torchvision.', 'mmcls.')
#: The parts of a model that are looked at.
_MODEL_PARTS = ('backbone', 'neck', 'cls_head', 'head')


class Part(NamedTuple):
    """A part of a config.

    Attributes:
        place: Where it is, for messages.
        node: What the config has there.
        registry: Where its ``type`` is looked up.
        supplied: Arguments that the config does not give, or that are taken out before it is built.
        default: Its ``type`` where none is given.
    """

    place: str
    node: Any
    registry: Registry
    supplied: tuple[str, ...] = ()
    default: str | None = None


def check_parts(cfg: Config, phases: Sequence[str]) -> None:
    """Check the types and arguments of all parts that a run builds.

    Args:
        cfg: A whole config.
        phases: The dataloaders that are used: 'train', 'val', 'test'.

    Raises:
        UserError: At the first part without a type, of a type that is not registered, with an argument that its class
            does not take, or without one that it needs.
    """
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmengine')):
        for part in _parts(cfg, phases):
            _check(part)


def check_model_and_datasets(cfg: Config) -> None:
    """Check the types and arguments of the model and of all datasets, which is what encoding videos builds.

    Raises:
        UserError: See :func:`check_parts`.
    """
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmengine')):
        loaders = {name: cfg.get(name) or {} for name in (f'{split}_dataloader' for split in SPLITS)}
        datasets = (_dataset_parts(loader.get('dataset'), f'{name}.dataset') for name, loader in loaders.items())
        for part in chain(_model_parts(cfg), *datasets):
            _check(part)


def _parts(cfg: Config, phases: Sequence[str]) -> Iterator[Part]:
    """Yield the parts in the order in which they are built."""
    yield from _hooks(cfg)
    if cfg.get('visualizer') is not None:
        yield Part('visualizer', cfg.visualizer, registries.VISUALIZERS)
        for number, backend in enumerate(_items(cfg.visualizer, 'vis_backends')):
            yield Part(f'visualizer.vis_backends[{number}]', backend, registries.VISBACKENDS, ('save_dir',))
    if cfg.get('log_processor') is not None:
        yield Part('log_processor', cfg.log_processor, registries.LOG_PROCESSORS, default='LogProcessor')
    yield from _model_parts(cfg)
    for phase in phases:
        yield from _loader_parts(cfg, phase)
    if 'train' in phases:
        yield from _training_parts(cfg)


def _model_parts(cfg: Config) -> Iterator[Part]:
    yield Part('model', cfg.model, registries.MODELS)
    for name in _MODEL_PARTS:
        for number, node in enumerate(_items(cfg.model, name)):
            yield Part(f'model.{name}' + (f'[{number}]' if number else ''), node, registries.MODELS)


def _hooks(cfg: Config) -> Iterator[Part]:
    hooks = {f'default_hooks.{name}': hook for name, hook in (cfg.get('default_hooks') or {}).items()}
    hooks |= {f'custom_hooks[{number}]': hook for number, hook in enumerate(cfg.get('custom_hooks') or ())}
    for place, hook in hooks.items():
        if hook is not None:
            yield Part(place, hook, registries.HOOKS, ('priority',))
            _check_priority(hook, place)


def _check_priority(hook: Any, place: str) -> None:
    priority = hook.get('priority') if isinstance(hook, Mapping) else None
    if priority is None:
        return
    try:
        get_priority(priority)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f'{place}.priority={shown(repr(priority))} of the config is none: a number from 0 to 100 is expected, or '
            f'one of {", ".join(Priority.__members__)}.'
        ) from error


def _loader_parts(cfg: Config, phase: str) -> Iterator[Part]:
    loader = cfg.get(f'{phase}_dataloader') or {}
    for name in ('sampler', 'batch_sampler'):
        if loader.get(name) is not None:
            supplied = ('dataset', 'seed', 'sampler', 'batch_size')
            yield Part(f'{phase}_dataloader.{name}', loader[name], registries.DATA_SAMPLERS, supplied)
    yield from _dataset_parts(loader.get('dataset'), f'{phase}_dataloader.dataset')
    if phase != 'train':
        for number, metric in enumerate(metrics_of(cfg, phase)):
            yield Part(f'{phase}_evaluator' + (f'[{number}]' if number else ''), metric, registries.METRICS)


def metrics_of(cfg: Config, phase: str) -> list[Any]:
    """The metrics of an evaluator: one, several, or those inside an ``Evaluator``."""
    evaluator = cfg.get(f'{phase}_evaluator')
    if isinstance(evaluator, Mapping) and 'metrics' in evaluator:
        return _items(evaluator, 'metrics')
    return [] if evaluator is None else list(evaluator) if isinstance(evaluator, list | tuple) else [evaluator]


def _dataset_parts(dataset: Any, place: str) -> Iterator[Part]:
    if dataset is None:
        return
    yield Part(place, dataset, registries.DATASETS)
    if isinstance(dataset, Mapping):
        for number, step in enumerate(_items(dataset, 'pipeline')):
            yield Part(f'{place}.pipeline[{number}]', step, registries.TRANSFORMS)
        yield from _dataset_parts(dataset.get('dataset'), f'{place}.dataset')
        for number, inner in enumerate(dataset.get('datasets') or ()):
            yield from _dataset_parts(inner, f'{place}.datasets[{number}]')


def _training_parts(cfg: Config) -> Iterator[Part]:
    wrapper = cfg.optim_wrapper
    if isinstance(wrapper, Mapping) and 'constructor' not in wrapper:
        supplied = ('optimizer', 'paramwise_cfg')
        yield Part('optim_wrapper', wrapper, registries.OPTIM_WRAPPERS, supplied, 'OptimWrapper')
        yield Part('optim_wrapper.optimizer', wrapper.get('optimizer'), registries.OPTIMIZERS, ('params',))
    schedulers = cfg.get('param_scheduler') or ()
    if isinstance(schedulers, Mapping):
        schedulers = [schedulers] if 'type' in schedulers else ()
    for number, scheduler in enumerate(schedulers):
        supplied = ('optimizer', 'convert_to_iter_based', 'epoch_length')
        yield Part(f'param_scheduler[{number}]', scheduler, registries.PARAM_SCHEDULERS, supplied)
    yield from _loops(cfg)


def _loops(cfg: Config) -> Iterator[Part]:
    """The loops of a training; that of training may say ``by_epoch`` instead of a type."""
    supplied = ('runner', 'dataloader', 'evaluator')
    loop = cfg.train_cfg
    if isinstance(loop, Mapping) and 'type' not in loop and 'by_epoch' in loop:
        default = 'EpochBasedTrainLoop' if loop['by_epoch'] else 'IterBasedTrainLoop'
        yield Part('train_cfg', loop, registries.LOOPS, (*supplied, 'by_epoch'), default)
    else:
        yield Part('train_cfg', loop, registries.LOOPS, supplied)
    for name, default in (('val_cfg', 'ValLoop'), ('test_cfg', 'TestLoop')):
        if cfg.get(name) is not None:
            yield Part(name, cfg[name], registries.LOOPS, supplied, default)


def _items(node: Any, name: str) -> list[Any]:
    """The entries of a list, or the one there is."""
    value = node.get(name) if isinstance(node, Mapping) else None
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]


def _check(part: Part) -> None:
    """Check one part; what is no config (an object, a class) is taken as it is."""
    node = part.node
    if not isinstance(node, Mapping):
        if node is None or isinstance(node, str | list | tuple | int | float):
            raise no_type(part.place, node)
        return
    name = node.get('type', part.default)
    if name is None:
        raise no_type(part.place, dict(node))
    if isinstance(name, str) and name.startswith(_FOREIGN):
        return
    built = look_up(name, part.registry, node.get('_scope_'))
    if built is None:
        raise unknown_type(name, part.registry.name)
    arguments = {key: value for key, value in node.items() if key not in ('type', '_scope_', *part.supplied)}
    _check_arguments(built, arguments, part)


def _check_arguments(built: Any, arguments: Mapping[str, Any], part: Part) -> None:
    """Check that a class takes the arguments, as far as that can be told, and needs no others."""
    accepted = accepted_arguments(built)
    for name in arguments:
        if accepted is not None and name not in accepted:
            raise wrong_argument(built, name)
    missing = missing_arguments(built, {**arguments, **dict.fromkeys(part.supplied)})
    if missing:
        raise UserError(
            f'The config lacks something: {built.__name__} missing {len(missing)} required argument(s), '
            f'{", ".join(missing)}, at {part.place}.'
        )
