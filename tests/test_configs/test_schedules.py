"""The schedules, on models as small as they get."""

import math

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS, init_default_scope
from tiny import TINY_RESNET, FixedSource
from tiny_configs import ROOT
from torch import nn

from textxfer_mm.registry import MODELS


def schedule(name):
    return Config.fromfile(ROOT / '_base_' / 'schedules' / name)


def test_rates_of_the_text4vis_schedule():
    """A tenth for the pretrained tower and the scale; the full rate for all that is new, inside the tower or behind."""
    init_default_scope('mmaction')
    cfg = schedule('text4vis_30e.py')
    model = MODELS.build(
        dict(
            type='mmaction.Recognizer3D',
            backbone=dict(type='CLIPBackbone', arch=TINY_RESNET, temporal=dict(type='T1D')),
            neck=dict(type='TemporalTransformer', in_channels=32, num_heads=2, num_layers=1),
            cls_head=dict(type='TextEmbeddingHead', in_channels=32, classifier=FixedSource()),
        )
    )
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    rates = {id(parameter): group['lr'] for group in groups for parameter in group['params']}
    for name, parameter in model.named_parameters():
        slow = name.startswith('backbone.visual.') or name.endswith('logit_scale')
        assert rates[id(parameter)] == (5e-6 if slow else 5e-5), name
    names = [name for name, _ in model.named_parameters()]
    assert any(name.startswith('backbone.temporal.') for name in names)
    assert any(name.startswith('neck.') for name in names)
    assert any(name.endswith('logit_scale') for name in names)


def test_a_text_tower_that_is_trained_has_the_rate_of_the_encoder():
    init_default_scope('mmaction')
    encoder = dict(type='CLIPTextEncoder', arch=TINY_RESNET)
    classifier = dict(type='TextClassifier', class_names=['a', 'b'], encoder=encoder)
    model = MODELS.build(
        dict(
            type='mmaction.Recognizer3D',
            backbone=dict(type='CLIPBackbone', arch=TINY_RESNET),
            cls_head=dict(type='VideoTextMatchingHead', in_channels=32, classifier=classifier),
        )
    )
    groups = build_optim_wrapper(model, schedule('text4vis_30e.py').optim_wrapper).optimizer.param_groups
    rates = {id(parameter): group['lr'] for group in groups for parameter in group['params']}
    tower = [
        p for name, p in model.named_parameters() if name.startswith('cls_head.class_rows.tower.') and p.requires_grad
    ]
    assert len(tower) > 10
    assert {rates[id(parameter)] for parameter in tower} == {5e-6}


def test_the_curve_over_an_epoch_of_ten_iterations():
    """Five epochs up from 0, then a cosine down to 0; another rate at each iteration."""
    weight = nn.Parameter(torch.zeros(1))
    optimizer = build_optim_wrapper(nn.ParameterList([weight]), schedule('text4vis_30e.py').optim_wrapper).optimizer
    schedulers = [
        PARAM_SCHEDULERS.build(dict(cfg, optimizer=optimizer, epoch_length=10))
        for cfg in schedule('text4vis_30e.py').param_scheduler
    ]
    rates = []
    for _ in range(300):
        rates.append(optimizer.param_groups[0]['lr'] / 5e-5)
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    assert rates[0] == pytest.approx(0, abs=1e-5)
    assert rates[25] == pytest.approx(25 / 49, abs=1e-3)
    assert rates[50] == pytest.approx(1)
    for i in range(50, 300):
        assert rates[i] == pytest.approx((1 + math.cos(math.pi * (i - 50) / 250)) / 2, abs=5e-3)
    assert rates[299] < 1e-3


def test_the_released_schedule_differs_in_the_betas_alone():
    paper, released = schedule('text4vis_30e.py'), schedule('text4vis_released_30e.py')
    assert (paper.optim_wrapper.optimizer.betas, released.optim_wrapper.optimizer.betas) == ((0.9, 0.999), (0.9, 0.98))
    released.optim_wrapper.optimizer.betas = paper.optim_wrapper.optimizer.betas
    assert released.to_dict() == paper.to_dict()
