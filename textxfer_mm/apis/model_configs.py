"""Configs that prediction starts from: shipped files, those inside checkpoints, and bare CLIP without training."""

from collections.abc import Sequence
from typing import Any

from mmengine.config import Config

from textxfer_mm.engine.config_files import config_of_checkpoint, load_config
from textxfer_mm.files import config_dir
from textxfer_mm.models.backbones import preprocessor_cfg
from textxfer_mm.text.clip_arch import resolve_arch

__all__ = ['DEFAULT_CONFIG', 'clip_zero_shot_config', 'config_dir', 'config_of_checkpoint', 'load_config']

#: The model of ``textxfer predict`` when none is named: works with no network but a package index.
DEFAULT_CONFIG = 'quickstart/zero_shot_efficientnet-lite0_conse_minilm.py'


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
