"""Tiny models of every family that can be exported, and what checks an exported one against its model."""

import contextlib

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from tiny import TINY_RESNET, TINY_TIMM, TINY_VIT
from tiny_images import image_config
from typer.testing import CliRunner

from textxfer_mm.apis.inference import load_recognizer
from textxfer_mm.cli.main import app

NAMES = ['waving', 'clapping', 'running']
T, SIDE = 4, 32
TTRANS = dict(type='TemporalTransformer', in_channels=32, num_frames=T, num_layers=1, num_heads=2)
TAP = dict(type='TemporalAveragePool')
STEPS = [dict(type='Resize', scale=(-1, SIDE)), dict(type='CenterCrop', crop_size=SIDE)]
THREE = [STEPS[0], dict(type='ThreeCrop', crop_size=SIDE)]


def video_config(arch, neck=TAP, temporal=None, *, clips=1, steps=STEPS, head=None):
    """A config of Recognizer3D on clips of T frames of 32 x 32 pixels."""
    text = dict(type='CLIPTextEncoder', arch=TINY_VIT)
    classifier = dict(type='TextClassifier', class_names=NAMES, templates=['a {}.', 'one {}'], encoder=text)
    model = dict(
        type='Recognizer3D',
        backbone=dict(type='CLIPBackbone', arch=arch, temporal=temporal),
        neck=neck,
        cls_head=dict(type='TextEmbeddingHead', in_channels=32, classifier=classifier) | (head or {}),
        data_preprocessor=dict(
            type='ActionDataPreprocessor', mean=[120.0, 110.0, 100.0], std=[60.0, 61.0, 62.0], format_shape='NCTHW'
        ),
    )
    pipeline = [
        dict(type='ExactVideoInit'),
        dict(type='UniformSample', clip_len=T, num_clips=clips, test_mode=True),
        dict(type='ExactVideoDecode'),
        *steps,
        dict(type='FormatShape', input_format='NCTHW'),
        dict(type='PackActionInputs'),
    ]
    return Config(dict(default_scope='mmaction', model=model, test_pipeline=pipeline))


#: A config of each family; between them they have all ways to average views.
FAMILIES = {
    'ViT, TAP': lambda: video_config(TINY_VIT),
    'ViT, T-Trans, mean probability of six views': lambda: video_config(
        TINY_VIT, TTRANS, clips=2, steps=THREE, head=dict(average_clips='prob')
    ),
    'ViT, TokenT1D, several labels': lambda: video_config(
        TINY_VIT, temporal=dict(type='TokenT1D'), clips=2, head=dict(multi_class=True, average_clips='prob')
    ),
    'ResNet, T1D, mean logit': lambda: video_config(
        TINY_RESNET, temporal=dict(type='T1D'), clips=2, head=dict(average_clips='score')
    ),
    'EfficientNet, a projection': lambda: video_config(TINY_TIMM, head=dict(projection='linear')),
    'image': image_config,
}


def built(cfg, seed=0):
    """The model of a config, with seeded weights that are not those of its initialisation."""
    torch.manual_seed(seed)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = load_recognizer(cfg, device='cpu')
        model.init_weights()
    with torch.no_grad(), contextlib.suppress(StopIteration):
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    return model


def random_rows(classes, width, seed=0):
    """Class rows (K, D) of length one."""
    rows = np.random.default_rng(seed).standard_normal((classes, width)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def run(*args):
    """Run the command."""
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result
