"""CLIPBackbone and the necks inside mmaction's recognizers: under stock heads, and as a whole Text4Vis model."""

import pytest
import torch
from mmaction.registry import MODELS as MMACTION_MODELS
from mmaction.structures import ActionDataSample
from mmengine.registry import init_default_scope
from tiny import TINY_RESNET, TINY_TIMM, TINY_VIT, FixedSource

D, K = 32, 6
TOWERS = {'vit': TINY_VIT, 'resnet': TINY_RESNET, 'timm': TINY_TIMM}
towers = pytest.mark.parametrize('arch', TOWERS.values(), ids=TOWERS)


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmaction')


def samples(n):
    return [ActionDataSample().set_gt_label(i % K) for i in range(n)]


def run(model, inputs):
    """One training step, then a prediction."""
    model.train()
    losses = model(inputs, samples(len(inputs)), mode='loss')
    losses['loss_cls'].backward()
    trained = [p for p in model.backbone.parameters() if p.requires_grad]
    assert trained
    assert all(p.grad is not None for p in trained)
    with torch.no_grad():
        predictions = model.eval()(inputs, samples(len(inputs)), mode='predict')
    for prediction in predictions:
        assert prediction.pred_score.shape == (K,)
        assert torch.isfinite(prediction.pred_score).all()
    return predictions


@towers
def test_under_a_stock_3d_head(arch):
    """The vision-only baseline: a linear classifier on averaged frame features."""
    model = MMACTION_MODELS.build(
        dict(
            type='Recognizer3D',
            backbone=dict(type='CLIPBackbone', arch=arch),
            cls_head=dict(type='I3DHead', num_classes=K, in_channels=D, dropout_ratio=0, average_clips='prob'),
        )
    )
    x = torch.randn(2, 1, 3, 4, 32, 32)
    run(model, x)
    with torch.no_grad():
        frames = model.eval().backbone.visual(x[:, 0].transpose(1, 2).flatten(0, 1))  # (N*T, D)
        want = model.cls_head.fc_cls(frames.view(2, 4, D).mean(1))
        got = model(x, mode='tensor')
        torch.testing.assert_close(model.cls_head(got), want)


@towers
def test_under_a_stock_2d_head(arch):
    model = MMACTION_MODELS.build(
        dict(
            type='Recognizer2D',
            backbone=dict(type='CLIPBackbone', arch=arch),
            cls_head=dict(type='TSNHead', num_classes=K, in_channels=D, dropout_ratio=0, average_clips='prob'),
        )
    )
    x = torch.randn(2, 4, 3, 32, 32)
    run(model, x)
    with torch.no_grad():
        frames = model.eval().backbone.visual(x.flatten(0, 1))  # (N*T, D)
        want = model.cls_head.fc_cls(frames).view(2, 4, K).mean(1)
        torch.testing.assert_close(model.cls_head(model(x, mode='tensor'), num_segs=4), want)


@towers
@pytest.mark.parametrize('neck', ['TemporalTransformer', 'TemporalAveragePool'])
def test_text4vis(arch, neck):
    """Backbone, neck and head together are the paper's model, over three views."""
    torch.manual_seed(0)
    neck = (
        dict(type=neck) if neck == 'TemporalAveragePool' else dict(type=neck, in_channels=D, num_layers=2, num_heads=4)
    )
    source = FixedSource(embed_dims=D)
    model = MMACTION_MODELS.build(
        dict(
            type='Recognizer3D',
            backbone=dict(type='CLIPBackbone', arch=arch),
            neck=neck,
            cls_head=dict(type='TextEmbeddingHead', in_channels=D, classifier=source),
        )
    )
    model.init_weights()
    inputs = torch.randn(2, 3, 3, 4, 32, 32)  # (N, V, C, T, H, W)
    run(model, inputs[:, :1])

    predictions = model(inputs, samples(2), mode='predict')
    for video, prediction in zip(inputs, predictions, strict=True):
        features = []
        for view in video:  # (C, T, H, W)
            frames = model.backbone.visual(view.transpose(0, 1))  # (T, D)
            if neck['type'] == 'TemporalTransformer':
                frames = model.neck.layers(frames[None])[0]
            features.append(frames.mean(0))
        feature = torch.stack(features).mean(0)
        logits = 100 * feature / feature.norm() @ source.build().weight.t()
        torch.testing.assert_close(prediction.pred_score, logits.softmax(0), atol=1e-4, rtol=1e-3)
