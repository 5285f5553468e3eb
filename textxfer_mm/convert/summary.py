"""What to say about a conversion, and which shipped configs it fits."""

import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from mmengine.config import Config

from textxfer_mm.convert.arch import embed_dim
from textxfer_mm.convert.conversion import Conversion
from textxfer_mm.engine.classes import classifier_of, head_of
from textxfer_mm.errors import first_few
from textxfer_mm.files import config_dir


def fitting_configs(done: Conversion) -> list[Path]:
    """The shipped Text4Vis configs whose backbone, neck and text classifier are those of a converted checkpoint.

    Those of the number of frames, where that is known, of Kinetics-400 and of the paper's prompt come first.
    """
    return [path for path, changes in _nearest_configs(done).items() if not changes]


def report(done: Conversion) -> list[str]:
    """Lines that say what was recognised, what was left out, and how to test the checkpoint."""
    arch = done.arch
    lines = [
        f'{done.src} -> {done.dst}',
        f'architecture: {_name(done)}' + (f', input {arch.image_size} pixels' if arch.image_size else ''),
        f'temporal module: {_temporal(done)}',
    ]
    lines += list(_assumed_heads(done))
    if done.source in ('text4vis', 'actionclip', 'vifi-clip'):  # the others were trained on images
        lines.append(f'frames: {_frames(done)}')
    if not done.told_activation:
        lines.append(
            f'activation: {"quick GELU" if arch.quick_gelu else "GELU"} is assumed, weights do not tell; if they were '
            f'trained with the other one, give --arch{_or_settings(done)}.'
        )
    lines += done.notes
    if done.classifier is not None:
        lines.append(f'classifier: {done.classifier}, by the prompts and the trained text tower of the file')
    elif done.source == 'vifi-clip':
        lines.append(
            'text: its text tower was trained too, and the file lacks the token_embedding for other words. Give '
            '--class-names for the classifier of its own classes; one by the released CLIP, as below, does not give '
            'the accuracy of the authors.'
        )
    lines += [f'left out, {reason}: {first_few(names, 1)}' for reason, names in done.dropped.items()]
    return lines + list(_how_to_test(done))


def _or_settings(done: Conversion) -> str:
    return ', or put the config.json of the model beside the file' if done.source == 'huggingface' else ''


def _assumed_heads(done: Conversion) -> Iterator[str]:
    """A line for each number of attention heads, which shapes do not tell."""
    arch, neck = done.arch, done.neck
    if arch.assumed_heads is not None:
        yield (
            f'heads of the vision tower: {arch.assumed_heads} of {arch.arch["vision_cfg"]["head_width"]} channels are '
            'ASSUMED, weights do not tell; if they were others, give --arch with a JSON file that has their head_width.'
        )
    if neck['type'] == 'TemporalTransformer':
        source = f'the heads of the text tower of {arch.arch}' if isinstance(arch.arch, str) else None
        if arch.text_heads is not None:
            source = source or "the text tower's width // 64"
            yield f'heads of T-Trans: {arch.text_heads}, {source} as in the released code; weights do not tell.'
        else:
            yield (
                f'heads of T-Trans: {_heads(neck)} are ASSUMED, the width // 64; neither the weights nor a text tower '
                'beside them tell. If they were others, set num_heads of the neck.'
            )


def _heads(neck: Mapping[str, Any]) -> int:
    return neck.get('num_heads') or max(neck['in_channels'] // 64, 1)


def _nearest_configs(done: Conversion) -> dict[Path, list[str]]:
    """The configs with the architecture and a text classifier, and the options that give them the temporal module.

    Those without options come first, and of these the ones that are nearest to the run.
    """
    configs = _configs_of(config_dir() / 'text4vis')
    changes = {path: _changes(cfg['model'], done) for path, cfg in configs.items() if _same_arch(cfg['model'], done)}
    order = sorted(changes, key=lambda path: (len(changes[path]), *_distance(path, configs[path], done)))
    return {path: changes[path] for path in order}


@cache
def _configs_of(folder: Path) -> dict[Path, Config]:
    """The configs of a folder; parsing some dozens takes a second or two."""
    return {path: Config.fromfile(path) for path in sorted(folder.glob('*.py'))}


def _name(done: Conversion) -> str:
    if not isinstance(done.arch.arch, str):
        nearest = f'; nearest: {done.arch.nearest}' if done.arch.nearest else ''
        return f'none that open_clip has a name for: {done.arch.arch}{nearest}'
    others = f' (the same shapes: {", ".join(done.arch.others)})' if done.arch.others else ''
    return done.arch.arch + others


def _temporal(done: Conversion) -> str:
    modules = [('TokenT1D', done.temporal)] if done.temporal else []
    if done.neck['type'] == 'TemporalTransformer':
        modules.append(('T-Trans', done.neck))
    shown = [f'{name} ({_options(cfg, shown_type=False) or "all blocks"})' for name, cfg in modules]
    return ' and '.join(shown) or 'TAP (no weights)'


def _options(cfg: Mapping[str, Any], *, shown_type: bool = True) -> str:
    return ', '.join(f'{key}={value!r}' for key, value in cfg.items() if key != 'type' or shown_type)


def _changes(model: Mapping[str, Any], done: Conversion) -> list[str]:
    """The options of the command line that give a model the temporal modules of a checkpoint."""
    backbone, changes = model['backbone'], []
    if not _same_temporal(backbone.get('temporal'), done.temporal):
        changes += _replaced(backbone, 'temporal', done.temporal, path='model.backbone.temporal')
    if _essence(model.get('neck') or {}) != _essence(done.neck):
        changes += _replaced(model, 'neck', done.neck, path='model.neck')
    return changes


def _replaced(parent: Mapping[str, Any], key: str, new: Mapping[str, Any] | None, *, path: str) -> list[str]:
    if new is None:
        return [f'{path}=None']
    delete = {'_delete_': True} if key in parent else {}  # else MMEngine takes it for an entry like others
    return [f'{path}.{name}={value!r}'.replace("'", '').replace(' ', '') for name, value in {**delete, **new}.items()]


def _frames(done: Conversion) -> str:
    if done.num_frames is not None:
        return f"{done.num_frames} (the rows of the position table that the file's optimizer updated)"
    return 'cannot be told from the weights, which are the same for any T; take those the file was trained with.'


def _how_to_test(done: Conversion) -> Iterator[str]:
    """The config, and the command."""
    nearest = _nearest_configs(done)
    if not nearest:
        yield from _how_to_configure(done)
        return
    config, options = next(iter(nearest.items()))
    if options:
        yield 'No shipped config has this model; the options of the command make it of one with the same architecture.'
    else:
        yield f'configs: {", ".join(_short(path) for path in fitting_configs(done))}'
    if done.classifier is not None:
        file = dict(type='FileClassifier', path=str(done.classifier))
        options = [*options, *_replaced(dict(classifier={}), 'classifier', file, path='model.cls_head.classifier')]
    elif done.has_text:
        yield 'The classifier is made with the text tower of the source, so the command names it.'
        options = [*options, f'model.cls_head.classifier.encoder.pretrained={done.src}']
    shown = f' --cfg-options {" ".join(map(shlex.quote, options))}' if options else ''
    yield f'test: python tools/test.py {_short(config)} {shlex.quote(str(done.dst))}{shown}'


def _how_to_configure(done: Conversion) -> Iterator[str]:
    """The parts of a config of an architecture that no shipped config has."""
    yield 'No shipped config has this architecture. In the model of a config with one of configs/text4vis/ as its base:'
    if done.arch.assumed_heads is not None:
        yield '    # head_width is assumed, weights do not tell it'
    yield f'    backbone=dict(_delete_=True, {_options(done.backbone)}),'
    neck = done.neck
    if neck['type'] == 'TemporalTransformer':
        neck = dict(neck, num_heads=_heads(neck))
        told = 'the number of the text tower' if done.arch.text_heads is not None else 'assumed: the width // 64'
        yield f'    # num_heads={neck["num_heads"]} is {told}; weights do not tell it'
    yield f'    neck=dict(_delete_=True, {_options(neck)}),'
    classifier = 'dict(...)'
    if done.classifier is not None:
        classifier = f"dict(_delete_=True, type='FileClassifier', path={str(done.classifier)!r})"
    yield f'    cls_head=dict(in_channels={embed_dim(done.arch.arch)}, classifier={classifier}),'
    if done.classifier is not None:
        return
    yield 'with a classifier of the same width, by the text tower that this one was trained with.'


def _short(path: Path) -> str:
    """The path as in a checkout, where the current folder is one."""
    local = Path('configs') / path.relative_to(config_dir())
    return str(local if local.is_file() else path)


def _same_arch(model: Mapping[str, Any], done: Conversion) -> bool:
    """Whether a model has the architecture, and its frozen text classifier."""
    backbone, head, classifier = model['backbone'], head_of(dict(model=model)), classifier_of(dict(model=model))
    encoder = classifier.get('encoder') or {}
    if (head.get('type'), classifier.get('type')) != ('TextEmbeddingHead', 'TextClassifier'):
        return False
    if head.get('projection') is not None or head.get('frozen', True) is not True:
        return False
    same = (backbone.get('arch'), backbone.get('image_size')) == (done.arch.arch, done.arch.image_size)
    return same and encoder.get('arch') == done.arch.arch


def _distance(path: Path, cfg: Mapping[str, Any], done: Conversion) -> tuple[Any, ...]:
    """How far a config is from the run that a checkpoint of Text4Vis most likely came from."""
    classifier = classifier_of(cfg)
    frames = max(step.get('clip_len', 0) for step in cfg['test_pipeline'])
    return (
        done.num_frames not in (None, frames),
        classifier.get('class_names') != 'kinetics400',
        classifier.get('templates') != 'text4vis',
        frames,
        cfg['train_cfg']['max_epochs'] != 30,  # those of the released checkpoints
        len(path.name),  # the plain recipe has the shortest name
    )


def _same_temporal(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    """Whether the modules lie in the same places; how they are initialised is not seen in a checkpoint."""
    if not one or not other:
        return not one and not other
    return (one.get('type'), one.get('layers')) == (other.get('type'), other.get('layers'))


def _essence(neck: Mapping[str, Any]) -> tuple[Any, ...]:
    """What makes two necks take the same weights and compute the same."""
    if neck.get('type') != 'TemporalTransformer':
        return (neck.get('type') or 'TemporalAveragePool',)  # without a neck, the head averages
    width = neck['in_channels']
    return (neck['type'], width, neck.get('num_layers', 6), _heads(neck), neck.get('max_frames', 77))
