"""One contract for every registered backbone, neck, projection and head.

Built from a plain config, it keeps its shapes, trains every parameter it does not freeze, survives a state-dict round
trip and a deep copy, and computes in bfloat16 what it computes in float32.
"""

import copy
import tempfile

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.registry import init_default_scope
from mmengine.runner.checkpoint import load_state_dict
from tiny import TINY_RESNET, TINY_TIMM, TINY_VIT, FixedSource

from textxfer_mm.classifiers.bundle import ClassifierBundle

N, T, D = 2, 4, 32
VIDEO, MAP = (N, 3, T, 32, 32), (N, D, T, 1, 1)
TEXT = dict(type='TextClassifier', class_names=list('abcdef'), encoder=dict(type='CLIPTextEncoder', arch=TINY_VIT))
T1D = dict(type='T1D', init='shift')
TINY_MVIT = dict(embed_dims=16, num_layers=2, num_heads=1, downscale_indices=[1])
TOKEN_T1D = dict(type='TokenT1D')
CLASSIFIER = dict(
    type='TextClassifier', class_names=['waving', 'jumping'], encoder=dict(type='CLIPTextEncoder', arch=TINY_VIT)
)
#: Where the cache of ``TipAdapterHead`` lies; removed when the process ends.
FOLDER = tempfile.TemporaryDirectory()
CACHE = ClassifierBundle.from_rows(torch.eye(4, D), class_names=list('aabc'), encoder_id='keys').save(
    f'{FOLDER.name}/cache.safetensors'
)

#: config, input shape, output shape
PARTS = {
    'CLIPBackbone ViT': (dict(type='CLIPBackbone', arch=TINY_VIT), VIDEO, MAP),
    'CLIPBackbone ResNet': (dict(type='CLIPBackbone', arch=TINY_RESNET), VIDEO, MAP),
    'CLIPBackbone timm': (dict(type='CLIPBackbone', arch=TINY_TIMM), VIDEO, MAP),
    'CLIPBackbone ResNet T1D': (dict(type='CLIPBackbone', arch=TINY_RESNET, temporal=T1D), VIDEO, MAP),
    'CLIPBackbone ViT TokenT1D': (dict(type='CLIPBackbone', arch=TINY_VIT, temporal=TOKEN_T1D), VIDEO, MAP),
    'CLIPBackbone partly frozen': (dict(type='CLIPBackbone', arch=TINY_VIT, frozen_stages=1), VIDEO, MAP),
    'CLIPBackbone checkpointing': (dict(type='CLIPBackbone', arch=TINY_VIT, with_cp=True), VIDEO, MAP),
    'CLIPImageBackbone': (dict(type='CLIPImageBackbone', arch=TINY_VIT), (N, 3, 32, 32), (N, D)),
    'MultiTrainMViT': (
        dict(type='MultiTrainMViT', arch=TINY_MVIT, spatial_size=32, temporal_size=T, drop_path_rate=0.0),
        VIDEO,
        (N, D, T // 2, 4, 4),
    ),
    'TemporalAveragePool': (dict(type='TemporalAveragePool'), MAP, (N, D, 1, 1, 1)),
    'TemporalTransformer': (dict(type='TemporalTransformer', in_channels=D, num_heads=2, num_layers=2), MAP, MAP),
    'LinearProjection': (dict(type='LinearProjection', in_channels=D, out_channels=8), (N, D), (N, 8)),
    'MLPProjection': (dict(type='MLPProjection', in_channels=D, out_channels=8), (N, D), (N, 8)),
    'TextEmbeddingHead': (
        dict(type='TextEmbeddingHead', in_channels=D, classifier=FixedSource(embed_dims=D), test_scale=None),
        MAP,
        (N, 6),
    ),
    'TextEmbeddingHead trained': (
        dict(type='TextEmbeddingHead', in_channels=D, classifier=FixedSource(embed_dims=D), frozen=False),
        MAP,
        (N, 6),
    ),
    'TextEmbeddingHead unnormalised': (
        dict(type='TextEmbeddingHead', in_channels=D, classifier=FixedSource(embed_dims=D), normalize=False),
        MAP,
        (N, 6),
    ),
    'TextEmbeddingClsHead': (
        dict(type='TextEmbeddingClsHead', in_channels=D, classifier=FixedSource(embed_dims=D), test_scale=None),
        (N, D),
        (N, 6),
    ),
    'UnifiedContrastiveClsHead': (
        dict(type='UnifiedContrastiveClsHead', in_channels=D, classifier=CLASSIFIER, test_scale=None),
        (N, D),
        (N, 2),
    ),
    'TextEmbeddingClsHead multi-label': (
        dict(
            type='TextEmbeddingClsHead',
            in_channels=D,
            classifier=FixedSource(embed_dims=8),
            projection='linear',
            multi_label=True,
        ),
        (N, D, 2, 2),
        (N, 6),
    ),
    'TextEmbeddingHead drawn templates': (
        dict(type='TextEmbeddingHead', in_channels=D, classifier=TEXT, train_templates=['{}', 'a {}'], test_scale=None),
        MAP,
        (N, 6),
    ),
    'TipAdapterHead': (
        dict(
            type='TipAdapterHead',
            in_channels=D,
            classifier=FixedSource(embed_dims=D),
            cache=CACHE,
            num_keys=4,
            train_keys=True,
            test_scale=None,
        ),
        MAP,
        (N, 6),
    ),
    'LearnablePromptHead': (dict(type='LearnablePromptHead', in_channels=D, classifier=TEXT), MAP, (N, 6)),
    'LearnablePromptHead for each class': (
        dict(type='LearnablePromptHead', in_channels=D, classifier=TEXT, class_specific=True, text_batch_size=4),
        MAP,
        (N, 6),
    ),
    'TextEmbeddingHead projected': (
        dict(type='TextEmbeddingHead', in_channels=D, classifier=FixedSource(embed_dims=8), projection='mlp'),
        MAP,
        (N, 6),
    ),
    'CaptionMatchingHead': (
        dict(type='CaptionMatchingHead', in_channels=D, classifier=CLASSIFIER, test_scale=None),
        MAP,
        (N, 2),
    ),
    'UnifiedContrastiveHead': (
        dict(type='UnifiedContrastiveHead', in_channels=D, classifier=CLASSIFIER, test_scale=None),
        MAP,
        (N, 2),
    ),
    'MultiDatasetHead': (
        dict(
            type='MultiDatasetHead',
            in_channels=D,
            datasets=dict(a=dict(num_classes=6)),
            dropout=0,
            informative_weight=0,
        ),
        MAP,
        (N, 6),
    ),
    'MultiDatasetTextHead': (
        dict(
            type='MultiDatasetTextHead',
            in_channels=D,
            classifier=dict(type='RandomClassifier', embed_dims=D),
            datasets=dict(a=dict(class_names=list('abcdef'))),
            informative_weight=0,
            test_scale=None,
        ),
        MAP,
        (N, 6),
    ),
    'VideoTextMatchingHead offline': (
        dict(
            type='VideoTextMatchingHead',
            in_channels=D,
            classifier=FixedSource(embed_dims=D),
            text='offline',
            test_scale=None,
        ),
        MAP,
        (N, 6),
    ),
    'VideoTextMatchingHead online': (
        dict(type='VideoTextMatchingHead', in_channels=D, classifier=CLASSIFIER, test_scale=None),
        MAP,
        (N, 2),
    ),
}


def build(name):
    init_default_scope('mmaction')
    torch.manual_seed(0)
    module = MODELS.build(copy.deepcopy(PARTS[name][0]))
    if hasattr(module, 'init_weights'):
        module.init_weights()
    return module


def run(module, x):
    out = module(x)
    return out[0] if isinstance(out, tuple) else out  # necks return (maps, auxiliary losses)


@pytest.fixture(params=PARTS)
def part(request):
    _, shape_in, shape_out = PARTS[request.param]
    return request.param, build(request.param), torch.randn(shape_in, requires_grad=True), shape_out


def test_shape_and_gradients(part):
    _, module, x, shape = part
    out = run(module.train(), x)
    assert out.shape == shape
    (out.float() * torch.randn_like(out.float())).sum().backward()
    assert torch.isfinite(x.grad).all()
    assert x.grad.any()
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, f'{name} is trainable and unused: DDP would stop'
            assert torch.isfinite(parameter.grad).all(), name
        else:
            assert parameter.grad is None, name


def test_state_dict_round_trip(part):
    name, module, x, _ = part
    module = module.eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
        other = build(name).eval()
        assert not torch.equal(run(other, x), run(module, x)) or not list(module.parameters())
        load_state_dict(other, copy.deepcopy(module.state_dict()), strict=True)
        torch.testing.assert_close(run(other, x), run(module, x))
        torch.testing.assert_close(run(copy.deepcopy(module), x), run(module, x))


def test_bf16(part):
    _, module, x, _ = part
    module = module.eval()
    with torch.no_grad():
        want = run(module, x)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            got = run(module, x).float()
    scale = want.abs().max()
    torch.testing.assert_close(got / scale, want / scale, atol=1e-2, rtol=0)


def test_every_name_of_the_registry_is_here():
    ours = {
        name
        for registry in (MODELS.parent or MODELS, MODELS)
        for name, module in registry.module_dict.items()
        if module.__module__.startswith('textxfer_mm.') and isinstance(module, type)
    }
    built_elsewhere = {  # text encoders, sources, blending: no modules; ConSE: test_lazy_weights.py
        'MultiDatasetBlending',
        'CLIPTextEncoder',
        'LanguageModelEncoder',
        'TextClassifier',
        'FileClassifier',
        'RandomClassifier',
        'OneHotClassifier',
        'OrthogonalClassifier',
        'LDAClassifier',
        'ConSEProjection',
        'MixedDataPreprocessor',  # no parameters: tests/test_image
        'IdentityBackbone',  # the same, and below: tests/test_apis/test_feature_cache.py
        'FeaturesOrPixels',
    }
    assert ours - built_elsewhere == {name.split()[0] for name in PARTS}
