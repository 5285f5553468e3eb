"""Parameters and multiply-adds: the paper's figures to the printed digit, the true ones against formulas by hand."""

import pytest
import torch
from mmengine.config import Config
from mmengine.hub import get_config
from tiny import TINY_VIT, FixedSource
from tiny_configs import ROOT
from torch import nn

from textxfer_mm.analysis.complexity import _paper_macs, build_on_meta, count_complexity
from textxfer_mm.analysis.views import Views, views_of_config
from textxfer_mm.errors import UserError
from textxfer_mm.text import clip_arch
from textxfer_mm.text.clip_encoder import CLIPTextEncoder

VIT_L = 'vit-l-14_ttrans_32xb8-u32'
VIT_L_336 = 'vit-l-14-336_ttrans_64xb1-acc4-u32'


@pytest.fixture(autouse=True)
def _nothing_is_fetched(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError('counting needs no weights')

    monkeypatch.setattr(clip_arch, '_download', refuse)
    monkeypatch.setattr(CLIPTextEncoder, 'encode', refuse)


def text4vis(name):
    return Config.fromfile(ROOT / 'text4vis' / f'text4vis_{name}-30e_kinetics400-rgb.py')


def millions(value):
    return f'{value / 1e6:.1f}'


def giga(value, digits=1):
    return f'{value / 1e9:.{digits}f}'


def vit_macs(*, layers, width, patch, size, out, frames=1):
    """Multiply-adds of a vision transformer: patches; q, k, v, their products, the output; the MLP; the projection."""
    patches = (size // patch) ** 2
    tokens = patches + 1
    block = tokens * width * 3 * width + 2 * tokens * tokens * width + tokens * width**2 + 2 * tokens * 4 * width**2
    return frames * (patches * width * 3 * patch**2 + layers * block + width * out)


def transformer_macs(*, layers, width, tokens):
    return layers * (12 * tokens * width**2 + 2 * tokens**2 * width)


@pytest.mark.parametrize(
    ('cfg', 'size', 'params', 'gflops'),
    [
        (text4vis('vit-b-16_tap_8xb32-u8'), 224, '57.3', '11.3'),
        (text4vis(VIT_L), 224, '202.1', '51.9'),
        (text4vis(VIT_L_336), 336, '202.1', '116.5'),
    ],
    ids=['ViT-B/16', 'ViT-L/14', 'ViT-L/14-336'],
)
def test_image_encoders_of_table_12(cfg, size, params, gflops):
    frame = count_complexity(cfg, shape=(3, 1, size, size)).frame
    assert (millions(frame.paper_params), giga(frame.paper_macs)) == (params, gflops)


@pytest.mark.parametrize(
    ('name', 'params', 'gflops', 'tower'),
    [
        ('vit-b-16', '57.3', '11.3', dict(layers=12, width=768, patch=16, size=224, out=512)),
        ('vit-l-14-336', '202.1', '116.5', dict(layers=24, width=1024, patch=14, size=336, out=768)),
    ],
)
def test_the_configs_of_table_12(name, params, gflops, tower):
    """The cost columns are those of the image configs, as MMPretrain's pipelines and classifiers have them."""
    result = count_complexity(Config.fromfile(ROOT / f'image/text4vis_{name}_8xb16-10e_in1k.py'))
    backbone, head = result.parts['backbone'], result.parts['head']
    assert result.views == Views((3, tower['size'], tower['size']))
    assert (millions(backbone.paper_params), giga(backbone.paper_macs)) == (params, gflops)
    assert backbone.macs == vit_macs(**tower)
    assert head.macs == 1000 * tower['out']
    assert result.frame is None


def test_vit_l_with_32_frames_of_table_7():
    result = count_complexity(text4vis(VIT_L))
    assert result.views == Views((3, 32, 224, 224), 4, 3)  # 1662 x 4 x 3
    assert (millions(result.total.paper_params), giga(result.total.paper_macs, 0)) == ('230.7', '1662')
    assert giga(result.frame.paper_macs) == '51.9'


def test_the_336_pixels_of_table_7_are_a_hundred_less_than_printed():
    """The table says 3829; 32 frames of its own 116.5 (Table 12) are 3728, and T-Trans is 1."""
    total = count_complexity(text4vis(VIT_L_336)).total
    assert (millions(total.paper_params), giga(total.paper_macs, 0)) == ('230.7', '3729')


@pytest.mark.parametrize(
    ('cfg', 'frames', 'tower', 'width'),
    [
        (text4vis('vit-b-16_ttrans_8xb32-u8'), 8, dict(layers=12, width=768, patch=16, size=224, out=512), 512),
        (text4vis(VIT_L), 32, dict(layers=24, width=1024, patch=14, size=224, out=768), 768),
    ],
    ids=['ViT-B/16', 'ViT-L/14'],
)
def test_true_counts_by_hand(cfg, frames, tower, width):
    parts = count_complexity(cfg).parts
    assert parts['backbone'].macs == vit_macs(**tower, frames=frames)
    assert parts['neck'].macs == transformer_macs(layers=6, width=width, tokens=frames)
    assert parts['cls_head'].macs == 400 * width
    block = 12 * width**2 + 13 * width  # weights; biases of q, k, v, out (4), MLP (4 + 1), two norms (4)
    assert parts['neck'].params == 6 * block + 77 * width
    assert parts['cls_head'].params == 400 * width + 1  # the classifier and the scale


def test_parameters_are_those_of_the_true_model():
    cfg = tiny()
    model = build(cfg)
    true = sum(p.numel() for p in model.parameters()) + model.cls_head.class_rows.weight.numel()
    assert count_complexity(cfg).total.params == true


def test_products_on_the_true_model():
    """Each matrix product of the tiny model, intercepted while it runs on real tensors."""
    cfg = tiny()
    model = build(cfg)
    seen = []

    class Intercept(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            name = func.overloadpacket.__name__
            if name in ('mm', 'bmm', 'addmm', 'baddbmm'):
                a = args[-2]
                seen.append(out.numel() * a.shape[-1])
            elif name == 'convolution':
                seen.append(out.numel() * args[1][0].numel())
            return out

    kernel = torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)
    with torch.no_grad(), kernel, Intercept():
        model.train()(torch.randn(1, 1, 3, 4, 32, 32), mode='tensor', stage='head')  # train: no fused encoder layer
    assert count_complexity(cfg).total.macs == sum(seen)


def tiny(**head):
    return Config(
        dict(
            default_scope='mmaction',
            model=dict(
                type='Recognizer3D',
                backbone=dict(type='CLIPBackbone', arch=TINY_VIT),
                neck=dict(type='TemporalTransformer', in_channels=32, num_layers=2, num_heads=2),
                cls_head=dict(
                    type='TextEmbeddingHead',
                    in_channels=32,
                    classifier=dict(type='RandomClassifier', class_names=list('abcde'), embed_dims=32),
                    **head,
                ),
            ),
            test_pipeline=[
                dict(type='DecordInit'),
                dict(type='SampleFrames', clip_len=4, frame_interval=2, num_clips=5, test_mode=True),
                dict(type='DecordDecode'),
                dict(type='Resize', scale=(-1, 32)),
                dict(type='ThreeCrop', crop_size=32),
                dict(type='FormatShape', input_format='NCTHW'),
                dict(type='PackActionInputs'),
            ],
        )
    )


def build(cfg):
    from textxfer_mm.registry import MODELS

    model = MODELS.build(cfg.model)
    model.init_weights()
    return model


def test_temporal_modules_of_the_tower_are_parameters():
    cfg = tiny()
    plain = count_complexity(cfg).parts['backbone']
    cfg.model.backbone.temporal = dict(type='TokenT1D')
    both = count_complexity(cfg).parts['backbone']
    assert both.params - plain.params == 2 * 64 * 3  # two blocks, 64 channels, three taps


def test_a_layer_is_counted_as_often_as_it_is_called():
    layer = nn.Conv1d(4, 6, 3, padding=1, groups=2)
    model = nn.Sequential(layer, nn.Conv1d(6, 4, 1), layer, nn.Flatten(1), nn.Linear(6 * 5, 2))
    with _paper_macs(model) as macs:
        model(torch.zeros(1, 4, 5))
    assert macs[layer] == 2 * 6 * 5 * (4 // 2) * 3
    assert macs[model[4]] == 2 * 30
    model(torch.zeros(1, 4, 5))
    assert macs[layer] == 2 * 6 * 5 * (4 // 2) * 3  # the hooks are gone


@pytest.mark.parametrize(
    ('name', 'shape', 'views', 'gflops'),
    [  # the multiply-adds that mmaction2's model zoo gives
        ('tsm/tsm_imagenet-pretrained-r50_8xb16-1x1x8-50e_kinetics400-rgb', (8, 3, 224, 224), (1, 10), '32.9'),
        ('swin/swin-tiny-p244-w877_in1k-pre_8xb8-amp-32x2x1-30e_kinetics400-rgb', (3, 32, 224, 224), (4, 3), '88.0'),
        ('mvit/mvit-small-p244_32xb16-16x4x1-200e_kinetics400-rgb', (3, 16, 224, 224), (5, 1), '64.0'),
    ],
)
def test_stock_configs(name, shape, views, gflops):
    result = count_complexity(get_config(f'mmaction::recognition/{name}.py'))
    assert result.views == Views(shape, *views)
    assert result.total.macs / 1e9 == pytest.approx(float(gflops), rel=0.01)
    assert 0 < result.total.paper_macs <= result.total.macs


def test_models_that_cannot_be_built_without_values():
    name = 'tanet/tanet_imagenet-pretrained-r50_8xb8-dense-1x1x8-100e_kinetics400-rgb'
    with pytest.raises(UserError, match='Recognizer2D with TANet cannot be built without values'):
        count_complexity(get_config(f'mmaction::recognition/{name}.py'))


def test_views_of_the_test_pipeline():
    assert views_of_config(tiny()) == Views((3, 4, 32, 32), 5, 3)
    assert views_of_config(text4vis('vit-b-16_ttrans_8xb32-u8')) == Views((3, 8, 224, 224), 4, 3)


def test_building_touches_neither_modules_nor_autocast():
    before = nn.Module.register_parameter, torch.autocast
    model = build_on_meta(tiny())
    assert {p.device.type for p in [*model.parameters(), *model.buffers()]} == {'meta'}
    assert (nn.Module.register_parameter, torch.autocast) == before
    assert nn.Linear(2, 2).weight.device.type == 'cpu'


def test_class_names_that_are_not_at_hand():
    cfg = tiny()
    cfg.model.cls_head.classifier.class_names = 'missing/names.txt'
    with pytest.raises(UserError, match=r'class names of RandomClassifier are not at hand.*num_classes=K'):
        count_complexity(cfg)
    cfg.model.cls_head.num_classes = 7
    assert count_complexity(cfg).parts['cls_head'].macs == 7 * 32


@pytest.mark.parametrize(
    ('shape', 'message'),
    [
        ((4, 3, 32, 32), 'One view of Recognizer3D has the shape 3 T H W, not 4 3 32 32'),
        ((3, 32, 32), 'One view of Recognizer3D has the shape 3 T H W, not 3 32 32'),
        ((3, -4, 32, 32), 'has the shape 3 T H W, not 3 -4 32 32'),
        ((3, 0, 32, 32), 'has the shape 3 T H W, not 3 0 32 32'),
        ((3, 4, 48, 48), 'takes frames of 32 x 32 pixels but got 48 x 48'),
    ],
)
def test_shapes_that_do_not_fit(shape, message):
    with pytest.raises(UserError, match=message):
        count_complexity(tiny(), shape=shape)


def test_pipelines_without_frames():
    cfg = tiny()
    cfg.test_pipeline = [dict(type='LoadAudioFeature')]
    with pytest.raises(UserError, match=r'test pipeline cannot be run on a black video.*--shape 3 T H W'):
        count_complexity(cfg)
    cfg.pop('test_pipeline')
    with pytest.raises(UserError, match='no test pipeline'):
        count_complexity(cfg)


def test_configs_without_a_backbone():
    with pytest.raises(UserError, match='no `model` with a backbone'):
        count_complexity(Config(dict(model=dict(type='BMN'))))


def test_models_that_fail_are_named():
    cfg = tiny()
    cfg.model.cls_head = dict(type='I3DHead', num_classes=5, in_channels=33)
    with pytest.raises(UserError, match=r'Recognizer3D with CLIPBackbone cannot be run on one view.*--shape'):
        count_complexity(cfg)


@pytest.mark.parametrize(
    'head', [dict(type='LearnablePromptHead', num_context=2), dict(type='VideoTextMatchingHead', text='online')]
)
def test_heads_with_a_text_tower_count_as_they_test(head):
    cfg = text4vis('vit-b-16_tap_8xb32-u8')
    plain = count_complexity(cfg).total
    cfg.model.cls_head.update(head)
    assert count_complexity(cfg).total == plain


def test_an_object_as_source():
    cfg = tiny()
    cfg.model.cls_head.classifier = FixedSource()
    assert count_complexity(cfg).parts['cls_head'].macs == 6 * 32


@pytest.mark.parametrize('kind', ['MultiDatasetHead', 'MultiDatasetTextHead'])
def test_heads_of_several_datasets(kind):
    datasets = dict(a=dict(class_names=['x', 'y']), b=dict(class_names=['x', 'z', 'w']))
    head = dict(type=kind, in_channels=32, datasets=datasets, predict_as='b', expander_channels=16)
    if kind == 'MultiDatasetTextHead':
        head['classifier'] = dict(type='TextClassifier', encoder=dict(type='CLIPTextEncoder', arch=TINY_VIT))
    cfg = Config(
        dict(model=dict(type='Recognizer3D', backbone=dict(type='CLIPBackbone', arch=TINY_VIT), cls_head=head))
    )
    counted = count_complexity(cfg, shape=(3, 2, 32, 32)).parts['cls_head']
    assert counted.macs == (32 * 2048 + 2048 * 3 if kind == 'MultiDatasetHead' else 32 * 3)
