"""Every feature type that reaches a head in mmaction2: loss, backward and predict with ``TextEmbeddingHead``.

The models are mmaction2's own configs; only the head is swapped, and depth or input size shrunk where the feature's
type does not depend on it. Loss and scores are those of naive cosines with what backbone and neck handed to the head.
"""

from pathlib import Path

import mmaction
import pytest
import torch
import torch.nn.functional as F
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from tiny import FixedSource

ROOT = Path(mmaction.__file__).parent / '.mim' / 'configs'
R2, R2S = (2, 4, 3, 32, 32), (1, 8, 3, 32, 32)
R3, R3S = (2, 1, 3, 8, 32, 32), (2, 3, 3, 8, 32, 32)
SCALE = 5.0  # small enough for scores that are far from 0 and 1
BASE = '_base_/models/'
REC = 'recognition/'

#: config, in_channels, train shape, test shape, backbone changes, head options
TABLE = {
    'TSN': (f'{BASE}tsn_r50.py', 512, R2, (1, 25, 3, 32, 32), dict(depth=18), {}),
    'TSN three crops': (f'{BASE}tsn_r50.py', 512, R2, (2, 24, 3, 32, 32), dict(depth=18), dict(num_segments=8)),
    'TSN mobileone': (f'{BASE}tsn_mobileone_s0.py', 1024, R2, R2S, {}, {}),
    'TSN timm': (f'{BASE}tsn_r50.py', 512, R2, R2S, dict(_delete_=True, type='timm.resnet18'), {}),
    'TSN timm tokens': (
        f'{BASE}tsn_r50.py',
        192,
        R2,
        R2S,
        dict(_delete_=True, type='timm.vit_tiny_patch16_224', img_size=32),
        {},
    ),
    'TSN torchvision': (f'{BASE}tsn_r50.py', 512, R2, R2S, dict(_delete_=True, type='torchvision.resnet18'), {}),
    'TSN mmpretrain': (
        f'{BASE}tsn_r50.py',
        512,
        R2,
        R2S,
        dict(_delete_=True, type='mmpretrain.ResNet', depth=18),
        {},
    ),
    'TSN mmpretrain class token': (
        f'{BASE}tsn_r50.py',
        192,
        R2,
        R2S,
        dict(_delete_=True, type='mmpretrain.VisionTransformer', arch='deit-tiny', img_size=32, patch_size=16),
        {},
    ),
    'TSN several stages': (
        f'{BASE}tsn_r50.py',
        512,
        R2,
        R2S,
        dict(depth=18, out_indices=(2, 3)),
        dict(feature='last'),
    ),
    'TSM': (f'{BASE}tsm_r50.py', 2048, (2, 8, 3, 32, 32), (1, 24, 3, 32, 32), {}, dict(num_segments=8)),
    'TSM temporal pool': (
        f'{BASE}tsm_r50.py',
        2048,
        (2, 8, 3, 32, 32),
        (2, 8, 3, 32, 32),
        dict(temporal_pool=True),
        dict(num_segments=4),
    ),
    'TSM mobilenet': (f'{BASE}tsm_mobilenet_v2.py', 1280, (2, 8, 3, 32, 32), R2S, {}, {}),
    'TSM mobileone': (f'{BASE}tsm_mobileone_s4.py', 2048, (1, 8, 3, 32, 32), R2S, {}, {}),
    'TRN': (f'{BASE}trn_r50.py', 512, R2, R2S, dict(depth=18), {}),
    'TANet': (f'{BASE}tanet_r50.py', 2048, (2, 8, 3, 32, 32), R2S, {}, {}),
    'TPN 2D': (f'{BASE}tpn_tsm_r50.py', 2048, (1, 8, 3, 64, 64), (1, 8, 3, 64, 64), {}, {}),
    'TPN 3D': (f'{BASE}tpn_slowonly_r50.py', 2048, (1, 1, 3, 8, 64, 64), (1, 2, 3, 8, 64, 64), {}, {}),
    'C2D': (f'{BASE}c2d_r50.py', 2048, R3, R3S, {}, {}),
    'C3D': (
        f'{BASE}c3d_sports1m_pretrained.py',
        4096,
        (1, 1, 3, 16, 32, 32),
        (1, 2, 3, 16, 32, 32),
        dict(out_dim=2048),
        {},
    ),
    'I3D': (f'{BASE}i3d_r50.py', 2048, R3, R3S, {}, {}),
    'I3D several stages': (f'{BASE}i3d_r50.py', 2048, R3, R3S, dict(out_indices=(2, 3)), dict(feature='last')),
    'SlowOnly': (f'{BASE}slowonly_r50.py', 512, R3, R3S, dict(depth=18), {}),
    'SlowFast': (
        f'{BASE}slowfast_r50.py',
        2304,
        (2, 1, 3, 32, 32, 32),
        (1, 3, 3, 32, 32, 32),
        {},
        dict(feature='concat'),
    ),
    'R(2+1)D': (f'{BASE}r2plus1d_r34.py', 512, R3, R3S, {}, {}),
    'CSN, views in portions': (f'{BASE}ircsn_r152.py', 2048, R3, (1, 12, 3, 8, 32, 32), dict(depth=50), {}),
    'X3D': (f'{BASE}x3d.py', 432, R3, R3S, {}, {}),
    'TimeSformer divided': (
        f'{REC}timesformer/timesformer_divST_8xb8-8x32x1-15e_kinetics400-rgb.py',
        96,
        (2, 1, 3, 8, 32, 32),
        (1, 2, 3, 8, 32, 32),
        dict(img_size=32, embed_dims=96, num_heads=2, num_transformer_layers=2),
        {},
    ),
    'VideoSwin': (f'{BASE}swin_tiny.py', 768, (1, 1, 3, 8, 64, 64), (1, 2, 3, 8, 64, 64), {}, {}),
    'MViT class token': (
        f'{BASE}mvit_small.py',
        768,
        (1, 1, 3, 8, 64, 64),
        (1, 2, 3, 8, 64, 64),
        dict(temporal_size=8, spatial_size=64),
        dict(feature='cls'),
    ),
    'MViT patch map': (
        f'{BASE}mvit_small.py',
        768,
        (1, 1, 3, 8, 64, 64),
        (1, 2, 3, 8, 64, 64),
        dict(temporal_size=8, spatial_size=64),
        dict(feature='patch'),
    ),
    'MViT no class token': (
        f'{BASE}mvit_small.py',
        768,
        (1, 1, 3, 8, 64, 64),
        (1, 2, 3, 8, 64, 64),
        dict(temporal_size=8, spatial_size=64, output_cls_token=False),
        {},
    ),
    'UniFormer': (
        f'{REC}uniformer/uniformer-small_imagenet1k-pre_16x4x1_kinetics400-rgb.py',
        512,
        (1, 1, 3, 8, 64, 64),
        (1, 2, 3, 8, 64, 64),
        dict(img_size=64),
        {},
    ),
    'UniFormerV2': (
        f'{REC}uniformerv2/uniformerv2-base-p16-res224_clip_8xb32-u8_kinetics400-rgb.py',
        768,
        (1, 1, 3, 8, 32, 32),
        (1, 2, 3, 8, 32, 32),
        dict(input_resolution=32, layers=5, n_layers=4, return_list=(1, 2, 3, 4), clip_pretrained=False),
        {},
    ),
    'VideoMAE': (
        f'{REC}videomae/vit-base-p16_videomae-k400-pre_16x4x1_kinetics-400.py',
        96,
        (1, 1, 3, 16, 32, 32),
        (1, 2, 3, 16, 32, 32),
        dict(img_size=32, embed_dims=96, depth=2, num_heads=2),
        {},
    ),
}


def _no_downloads(cfg):
    """Drop whatever would fetch weights."""
    if isinstance(cfg, dict):
        for key in ('pretrained', 'pretrained2d', 'init_cfg'):
            if key in cfg:
                cfg[key] = False if key == 'pretrained2d' else None
        for value in cfg.values():
            _no_downloads(value)


def _build(config, in_channels, backbone, head):
    cfg = Config.fromfile(ROOT / config).model
    _no_downloads(cfg)
    backbone = dict(backbone)
    if backbone.pop('_delete_', False):
        cfg.backbone = backbone
    else:
        cfg.backbone.update(backbone)
    source = FixedSource(embed_dims=16)
    cfg.cls_head = dict(type='TextEmbeddingHead', in_channels=in_channels, classifier=source, projection='linear')
    cfg.cls_head.update(init_scale=SCALE, test_scale=SCALE, **head)
    init_default_scope('mmaction')
    return MODELS.build(cfg)


def _samples(num):
    return [ActionDataSample().set_gt_label(i % 6) for i in range(num)]


def _record(head, method):
    """The list that the features of each later call of ``head.loss`` or ``head.predict`` are added to."""
    seen, call = [], getattr(head, method)

    def recorded(feats, *args, **kwargs):
        seen.append(feats)
        return call(feats, *args, **kwargs)

    setattr(head, method, recorded)
    return seen


def _naive_logits(feats, feature, weight, num):
    """Logits (N, K) of N videos from all that a head is handed: pool, project, average, cosine."""
    while isinstance(feats, (list, tuple)) and len(feats) == 1:
        feats = feats[0]
    chosen = dict(concat=slice(None, None, -1), last=slice(-1, None), cls=slice(1, 2), patch=slice(0, 1))
    parts = feats[chosen[feature]] if feature else [feats]
    rows = torch.cat([part.reshape(*part.shape[:2], -1).mean(2) for part in parts], dim=1)  # (N * rows, in_channels)
    x = torch.stack([video.mean(0) for video in (rows @ weight.t()).chunk(num)])  # (N, D)
    classes = FixedSource(embed_dims=16).build().weight  # (K, D)
    return torch.stack([SCALE * (x @ row) / (x.norm(dim=1) * row.norm()) for row in classes], dim=1)


@pytest.mark.parametrize('name', TABLE)
def test_recognizer_loss_backward_predict(name):
    config, in_channels, train_shape, test_shape, backbone, head = TABLE[name]
    torch.manual_seed(0)
    model = _build(config, in_channels, backbone, head)

    weight, feature = model.cls_head.projection.weight, head.get('feature')
    trained, tested = (_record(model.cls_head, method) for method in ('loss', 'predict'))

    samples = _samples(train_shape[0])
    loss = model(torch.randn(train_shape), samples, mode='loss')['loss_cls']
    naive = _naive_logits(trained[0], feature, weight, len(samples))
    torch.testing.assert_close(loss, F.cross_entropy(naive, torch.arange(len(samples))), atol=1e-5, rtol=1e-5)
    loss.backward()
    assert weight.grad.any()
    assert model.cls_head.cosine.logit_scale.grad.any()
    assert not model.cls_head.class_rows.weight.requires_grad
    first = next(p for p in model.backbone.parameters() if p.requires_grad)
    assert first.grad.any()

    model.eval()
    with torch.no_grad():
        predictions = model(torch.randn(test_shape), _samples(test_shape[0]), mode='predict')
    naive = _naive_logits(tested[0], feature, weight, test_shape[0]).softmax(-1)
    torch.testing.assert_close(torch.stack([p.pred_score for p in predictions]), naive, atol=1e-5, rtol=1e-5)
    assert [p.pred_label.item() for p in predictions] == naive.argmax(-1).tolist()


@pytest.mark.parametrize('name', ['SlowFast', 'MViT class token', 'TSN several stages'])
def test_several_features_need_an_explicit_choice(name):
    config, in_channels, train_shape, _, backbone, _ = TABLE[name]
    model = _build(config, in_channels, backbone, {})
    with pytest.raises(ValueError, match=r"returns several features .* head option `feature`: 'concat' \(SlowFast\)"):
        model(torch.randn(train_shape), _samples(train_shape[0]), mode='loss')


def test_skeleton_features():
    head = MODELS.build(
        dict(
            type='mmengine.TextEmbeddingHead',
            in_channels=8,
            classifier=FixedSource(embed_dims=8),
            feature='skeleton',
        )
    )
    feats = torch.randn(2, 2, 8, 5, 17)  # (N, persons, D, T, joints), as RecognizerGCN hands it over
    naive = torch.stack([feats[n].permute(1, 0, 2, 3).reshape(8, -1).mean(1) for n in range(2)])
    torch.testing.assert_close(head.embed(feats), naive)
    assert torch.isfinite(head.loss(feats, _samples(2))['loss_cls'])


def test_wrong_width_is_named():
    model = _build(f'{BASE}tsn_r50.py', 2048, dict(depth=18), {})
    with pytest.raises(ValueError, match='in_channels=2048, but the features are 512 wide'):
        model(torch.randn(R2), _samples(2), mode='loss')
