"""What to say about a conversion of a checkpoint of MultiTrain."""

import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from mmengine.config import Config

from textxfer_mm.convert.multitrain import MultiTrainConversion
from textxfer_mm.files import config_dir
from textxfer_mm.text.class_names import load_class_names

#: What a config of the backbone leaves out.
_DEFAULTS = dict(arch='base', temporal_size=32, spatial_size=224)
#: The list of names in whose order the labels of a dataset with so many classes are taken to be; those of ``mit`` and
#: ``activitynet`` are MMAction2's, and do not come with this package.
ASSUMED_LISTS = {400: 'kinetics400', 700: 'kinetics700', 174: 'sthv2', 305: 'mit', 200: 'activitynet'}


def report(done: MultiTrainConversion) -> list[str]:
    """Lines that say what was recognised, what is assumed, and how to test the checkpoint."""
    arch, backbone = done.backbone['arch'], done.backbone
    name = repr(arch) if isinstance(arch, str) else f'of no name, {arch}'
    size = backbone.get('spatial_size', 224)
    widen = ', '.join(map(str, done.wider))
    lines = [
        f'{done.src} -> {done.dst}',
        f'architecture: MultiTrainMViT {name}, {backbone["temporal_size"]} frames of {size} pixels, by its positions',
        f'blocks that pool the queries: {widen}, those that widen; strides are ASSUMED, weights do not tell.',
        *_head_lines(done),
        f'all {done.entries} entries of the file were written.',
    ]
    return lines + list(_how_to_test(done))


def _head_lines(done: MultiTrainConversion) -> Iterator[str]:
    """What the head is, and the order of classes that is assumed."""
    head = done.head
    if head is None:
        yield 'head: none in the file; a config starts one anew.'
        return
    if not done.datasets:
        yield f'head: linear, {head["num_classes"]} classes, for I3DHead'
        yield f'classes: {_assumed(head["num_classes"])}'
        return
    count = len(done.datasets)
    pairs = f'projections of {count * (count - 1)} pairs' if head.get('projection_weight', 1) else 'no projections'
    expander = 'an expander' if head.get('informative_weight', 1) else 'no expander'
    yield f'head: {", ".join(f"{name} {k}" for name, k in done.datasets.items())} classes; {pairs}, {expander}'
    for name, k in done.datasets.items():
        yield f'classes of {name}: {_assumed(k)}'


def _assumed(num_classes: int) -> str:
    known = ASSUMED_LISTS.get(num_classes)
    if known is None:
        return f'{num_classes} in an order that the file does not say; give the list that it was trained with.'
    return (
        f'ASSUMED to be in the order of the list {known!r}; the file holds no names. If it was trained on labels in '
        'another order, give that list as class_names.'
    )


def _how_to_test(done: MultiTrainConversion) -> Iterator[str]:
    """The shipped config of the model and the command, or the parts of a config."""
    fitting = [path for path, cfg in _configs() if _fits(cfg.model, done)]
    if fitting:
        path = fitting[0]
        local = Path('configs') / path.relative_to(config_dir())
        yield f'test: python tools/test.py {local if local.is_file() else path} {shlex.quote(str(done.dst))}'
        return
    named = [cfg for _, cfg in _configs() if _fits(cfg.model, done, by_name=False)]
    if named:
        ours = {k: name for name, k in _classes(named[0].model).items()}
        pairs = ' '.join(f'{name}={ours[k]}' for name, k in done.datasets.items() if ours[k] != name)
        yield f'The config of this model calls the datasets otherwise: convert again with --rename {pairs}'
        return
    yield 'No shipped config has this model. In the model of a config with one of configs/multitrain/ as its base:'
    yield f'    backbone={_call(done.backbone)},'
    if done.head is not None:
        yield f'    cls_head={_call(done.head)},'


def _call(cfg: Mapping[str, Any]) -> str:
    return f'dict(_delete_=True, {", ".join(f"{key}={value!r}" for key, value in cfg.items())})'


@cache
def _configs() -> tuple[tuple[Path, Config], ...]:
    """The shipped configs of this method, the plainest names first; reading them takes seconds."""
    paths = sorted((config_dir() / 'multitrain').glob('*.py'), key=lambda path: (len(path.name), path.name))
    read = [(path, Config.fromfile(path)) for path in paths]
    return tuple(
        (path, cfg) for path, cfg in read if cfg.get('model', {}).get('backbone', {}).get('type') == 'MultiTrainMViT'
    )


def _fits(model: Mapping[str, Any], done: MultiTrainConversion, *, by_name: bool = True) -> bool:
    """Whether a model has the backbone and the datasets, by their names or by their numbers of classes alone."""
    backbone = model['backbone']
    same = all(backbone.get(key, default) == done.backbone.get(key, default) for key, default in _DEFAULTS.items())
    theirs = _classes(model)
    if not by_name:
        return same and bool(theirs) and sorted(theirs.values()) == sorted(done.datasets.values())
    return same and theirs == (done.datasets or _linear(done))


def _linear(done: MultiTrainConversion) -> dict[str, int]:
    return {} if done.head is None else {'': done.head['num_classes']}


def _classes(model: Mapping[str, Any]) -> dict[str, int]:
    """The number of classes by dataset; that of a linear head under an empty name."""
    head = model['cls_head']
    if 'datasets' not in head:
        return {'': head['num_classes']} if 'num_classes' in head else {}
    return {
        name: one['num_classes'] if 'num_classes' in one else len(load_class_names(one['class_names']))
        for name, one in head['datasets'].items()
    }
