"""Configs that prediction starts from: shipped files, those inside checkpoints, and bare CLIP without training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from textxfer_mm.engine.classes import set_text_weights
from textxfer_mm.engine.config_files import config_of_checkpoint, load_config
from textxfer_mm.errors import UserError
from textxfer_mm.files import config_dir
from textxfer_mm.inputs import find_clip_folder
from textxfer_mm.text.clip_arch import resolve_arch
from textxfer_mm.text.clip_files import read_clip_scale
from textxfer_mm.text.clip_folders import read_clip_folder
from textxfer_mm.vision import input_cfg, preprocessor_cfg

__all__ = [
    'DEFAULT_CONFIG',
    'chosen_config',
    'clip_zero_shot_config',
    'config_dir',
    'config_of_checkpoint',
    'load_config',
]

#: The model of ``textxfer predict`` when none is named: works with no network but a package index.
DEFAULT_CONFIG = 'quickstart/zero_shot_efficientnet-lite0_conse_minilm.py'


def chosen_config(
    *,
    config: Config | str | Path | None = None,
    checkpoint: str | Path | None = None,
    clip: str | None = None,
    pretrained: str | None = None,
    class_names: Sequence[str] | None = None,
) -> Config:
    """The config of the model that was chosen; without one that of the packaged model.

    Args:
        config: A config.
        checkpoint: A checkpoint, whose own config is taken where none is given.
        clip: The name of an open_clip model, or a folder with its config and weights.
        pretrained: Weights of the CLIP model ('openai' by default), or of a config's text encoder.
        class_names: K names; a bare CLIP model and the packaged one have none of their own.

    Raises:
        UserError: They exclude each other, lack one another, or are not at hand.
    """
    if clip is not None and (config is not None or checkpoint is not None):
        raise UserError(f'The CLIP model {clip} goes without a config and a checkpoint.')
    if config is not None or checkpoint is not None:
        is_file = config is not None and not isinstance(config, Config)
        cfg = load_config(config) if is_file else config or config_of_checkpoint(checkpoint)
        if pretrained is not None:
            try:
                set_text_weights(cfg, pretrained)
            except UserError as error:
                raise UserError(f'--pretrained without --model: {error}') from error
        return cfg
    if class_names is None:
        raise UserError('Say which labels to look for: this model has none of its own.')
    if clip is None:
        return load_config(DEFAULT_CONFIG)
    if find_clip_folder(clip) is None:
        return clip_zero_shot_config(clip, pretrained or 'openai', class_names)
    if pretrained is not None:
        raise UserError(f'The CLIP model {clip} is a folder, which holds its weights: leave pretrained out.')
    folder = read_clip_folder(clip)
    return clip_zero_shot_config(folder.arch, str(folder.weights), class_names)


def clip_zero_shot_config(
    arch: str | dict[str, Any],
    pretrained: str,
    class_names: Sequence[str],
    *,
    templates: Any = 'text4vis',
    num_frames: int = 8,
) -> Config:
    """Bare CLIP on videos: frame features averaged (TAP), text embeddings as the classifier, nothing trained.

    Cosines are scaled as they were when the weights were trained, where these are a local file that tells; otherwise by
    100, as in OpenAI's.

    Args:
        arch: The name of an open_clip model, or a model config.
        pretrained: A tag of open_clip, or a local file.
        class_names: K names.
        templates: The name of a template set, one template, or several.
        num_frames: T, spread over the whole video.
    """
    clip = dict(arch=arch, pretrained=pretrained)
    name, arch_cfg = resolve_arch(arch)
    pixels = preprocessor_cfg(arch, pretrained)
    classifier = dict(
        type='TextClassifier',
        class_names=list(class_names),
        templates=templates,
        encoder=dict(type='CLIPTextEncoder', **clip),
    )
    pipeline = [
        dict(type='ExactVideoInit'),
        dict(type='UniformSample', clip_len=num_frames, test_mode=True),
        dict(type='ExactVideoDecode'),
        *_resize_steps(name, input_cfg(arch, pretrained)),
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
                cls_head=dict(
                    type='TextEmbeddingHead',
                    in_channels=arch_cfg['embed_dim'],
                    classifier=classifier,
                    test_scale=_scale_of(pretrained),
                ),
                data_preprocessor=dict(type='ActionDataPreprocessor', format_shape='NCTHW', **pixels),
            ),
            test_pipeline=pipeline,
        )
    )


def _scale_of(pretrained: str | None) -> float:
    """The factor of the cosines in testing."""
    stored = read_clip_scale(pretrained) if pretrained and Path(pretrained).expanduser().is_file() else None
    return 100.0 if stored is None else stored


def _resize_steps(name: str, frame: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps that bring frames to the tower's size in the way that its weights were trained with.

    Raises:
        UserError: That needs padding.
    """
    height, width = frame['size']
    resize = dict(type='Resize', interpolation=frame['interpolation'])
    if frame['resize_mode'] == 'squash':
        return [dict(resize, scale=(width, height), keep_ratio=False)]
    if frame['resize_mode'] != 'shortest':
        raise UserError(f'The weights of {name} want frames resized as {frame["resize_mode"]!r}: write a config.')
    return [dict(resize, scale=(-1, max(height, width))), dict(type='CenterCrop', crop_size=(width, height))]
