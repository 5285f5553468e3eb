"""Configs that prediction starts from: shipped files, those inside checkpoints, and bare CLIP without training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

import textxfer_mm
from textxfer_mm.engine.checkpoint import load_checkpoint_file
from textxfer_mm.errors import UserError, nearest
from textxfer_mm.models.backbones import preprocessor_cfg
from textxfer_mm.text.clip_arch import resolve_arch

#: The model of ``textxfer predict`` when none is named: works with no network but a package index.
DEFAULT_CONFIG = 'quickstart/zero_shot_efficientnet-lite0_conse_minilm.py'


def config_dir() -> Path:
    """The folder of the shipped configs: inside an installed package, or beside a source checkout.

    Raises:
        UserError: the package was installed without its configs.
    """
    package = Path(textxfer_mm.__file__).parent
    for folder in (package / '.mim' / 'configs', package.parent / 'configs'):
        if (folder / '_base_').is_dir():
            return folder
    raise UserError('The configs were not installed with the package. Reinstall it with `pip install textxfer_mm`.')


def load_config(path: str | Path) -> Config:
    """Read a config file; a path relative to the shipped configs works as well.

    Raises:
        UserError: no such file (with the nearest shipped names) or a file that is no config.
    """
    shipped = config_dir()
    file = next((p for p in (Path(path), shipped / path) if p.is_file()), None)
    if file is None:
        names = [str(p.relative_to(shipped)) for p in shipped.rglob('*.py') if '_base_' not in p.parts]
        raise UserError(f'Config {path} does not exist.{nearest(str(path), names)}')
    try:
        return Config.fromfile(file)
    except (SyntaxError, OSError, KeyError, AttributeError, ImportError) as error:
        raise UserError(f'{file} is no config that can be read: {type(error).__name__}: {error}') from error


def config_of_checkpoint(path: str | Path) -> Config:
    """The config that MMEngine saved inside a checkpoint.

    Raises:
        UserError: the checkpoint holds none.
    """
    checkpoint = load_checkpoint_file(path)
    text = checkpoint.get('meta', {}).get('cfg') if isinstance(checkpoint, dict) else None
    if not isinstance(text, str):
        raise UserError(f'{path} holds no config. Give the one it was trained with: --config FILE.')
    return Config.fromstring(text, '.py')


def clip_zero_shot_config(
    arch: str, pretrained: str, class_names: Sequence[str], *, templates: Any = 'text4vis', num_frames: int = 8
) -> Config:
    """Bare CLIP on videos: frame features averaged (TAP), text embeddings as the classifier, nothing trained.

    Args:
        arch: open_clip model name.
        pretrained: open_clip tag or a local file.
        class_names: K names.
        templates: name of a template set, one template or several.
        num_frames: T, spread over the whole video.
    """
    clip = dict(arch=arch, pretrained=pretrained)
    _, arch_cfg = resolve_arch(arch)
    pixels = preprocessor_cfg(arch, pretrained)
    width, size = arch_cfg['embed_dim'], arch_cfg['vision_cfg'].get('image_size', 224)
    size = size if isinstance(size, int) else size[0]
    classifier = dict(
        type='TextClassifier',
        class_names=list(class_names),
        templates=templates,
        encoder=dict(type='CLIPTextEncoder', **clip),
    )
    pipeline = [
        dict(type='DecordInit'),
        dict(type='UniformSample', clip_len=num_frames, test_mode=True),
        dict(type='DecordDecode'),
        dict(type='Resize', scale=(-1, size), interpolation='bicubic'),
        dict(type='CenterCrop', crop_size=size),
        dict(type='FormatShape', input_format='NCTHW'),
        dict(type='PackActionInputs'),
    ]
    return Config(
        dict(
            default_scope='mmaction',
            model=dict(
                type='Recognizer3D',
                backbone=dict(type='CLIPBackbone', **clip),
                neck=dict(type='TemporalAveragePool'),
                cls_head=dict(type='TextEmbeddingHead', in_channels=width, classifier=classifier),
                data_preprocessor=dict(type='ActionDataPreprocessor', format_shape='NCTHW', **pixels),
            ),
            test_pipeline=pipeline,
        )
    )
