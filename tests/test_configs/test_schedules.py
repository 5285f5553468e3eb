"""The schedules, on models as small as they get."""

from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from tiny import TINY_RESNET, FixedSource
from tiny_configs import ROOT

from textxfer_mm.registry import MODELS


def test_rates_of_the_text4vis_schedule():
    """A tenth for the pretrained tower and the scale; the full rate for all that is new, inside the tower or behind."""
    init_default_scope('mmaction')
    cfg = Config.fromfile(ROOT / '_base_' / 'schedules' / 'text4vis_30e.py')
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
