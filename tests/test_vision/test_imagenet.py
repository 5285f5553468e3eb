"""``pretrained='timm'``: ImageNet weights of timm, from the hub's cache; no network."""

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file
from tiny import TINY_TIMM, TINY_VIT

from textxfer_mm.errors import NotAtHandError, UserError
from textxfer_mm.models.backbones import CLIPBackbone
from textxfer_mm.vision import input_cfg, preprocessor_cfg

NAME = 'test_vit.r160_in1k'


def arch(image_size=160, **options):
    """timm's smallest ViT as a tower, 64 wide."""
    vision_cfg = dict(timm_model_name=NAME, timm_pool='token', timm_proj='none', image_size=image_size)
    return dict(embed_dim=64, vision_cfg={**vision_cfg, **options})


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """A cache of the hub that holds seeded weights as timm's; returns the whole classifier they belong to."""
    torch.manual_seed(3)
    model = timm.create_model(NAME).eval()
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path))
    folder = tmp_path / f'models--timm--{NAME}'
    (folder / 'refs').mkdir(parents=True)
    (folder / 'refs' / 'main').write_text('abc')
    (folder / 'snapshots' / 'abc').mkdir(parents=True)
    save_file(model.state_dict(), folder / 'snapshots' / 'abc' / 'model.safetensors')
    torch.manual_seed(4)
    return model


def test_features_are_those_of_timm(hub_cache):
    backbone = CLIPBackbone(arch(), 'timm').eval()
    frames = torch.randn(2, 3, 160, 160)
    with torch.no_grad():
        want = hub_cache.forward_head(hub_cache.forward_features(frames), pre_logits=True)  # (2, 64)
        torch.testing.assert_close(backbone(frames)[..., 0, 0], want)
        torch.testing.assert_close(hub_cache.head(backbone(frames)[..., 0, 0]), hub_cache(frames))


def test_another_input_size_resizes_positions(hub_cache):
    backbone = CLIPBackbone(arch(), 'timm', image_size=96)
    backbone.init_weights()
    positions = backbone.visual.trunk.pos_embed
    own = hub_cache.pos_embed
    assert positions.shape[1] - 1 == (96 // 16) ** 2
    want = timm.layers.resample_abs_pos_embed(own, (6, 6), (10, 10), num_prefix_tokens=1)
    torch.testing.assert_close(positions, want)
    backbone(torch.randn(1, 3, 2, 96, 96)).sum().backward()
    assert positions.grad.abs().sum() > 0


def test_projection_stays_as_it_is(hub_cache):
    config = arch(timm_proj='linear')
    backbone = CLIPBackbone({**config, 'embed_dim': 16}, 'timm')
    before = backbone.visual.head.proj.weight.clone()
    backbone.init_weights()
    torch.testing.assert_close(backbone.visual.head.proj.weight, before, atol=0, rtol=0)
    torch.testing.assert_close(backbone.visual.trunk.cls_token, hub_cache.cls_token)


def test_frames_as_timm_trained_with():
    in21k = dict(embed_dim=768, vision_cfg=dict(timm_model_name='vit_base_patch16_224.augreg_in21k'))
    assert preprocessor_cfg(in21k, 'timm') == dict(mean=[127.5] * 3, std=[127.5] * 3)
    resnet = dict(embed_dim=2048, vision_cfg=dict(timm_model_name='resnet50.a1_in1k', image_size=288))
    assert preprocessor_cfg(resnet, 'timm')['mean'] == pytest.approx([123.675, 116.28, 103.53])
    assert input_cfg(resnet, 'timm') == dict(size=(288, 288), interpolation='bicubic', resize_mode='shortest')


def test_nothing_is_fetched_where_a_checkpoint_has_the_tower(tmp_path):
    state = CLIPBackbone(arch()).state_dict()
    backbone = CLIPBackbone(arch(), 'timm')
    backbone.load_state_dict(state)
    backbone.init_weights()
    torch.testing.assert_close(backbone.visual.trunk.cls_token, state['visual.trunk.cls_token'])


def test_offline_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path))
    with pytest.raises(
        NotAtHandError, match=rf'weights of {NAME} are not on this machine .* cannot be reached.*HF_HOME'
    ):
        CLIPBackbone(arch(), 'timm').init_weights()


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (TINY_VIT, r'no vision tower of timm: use a model config with vision_cfg=dict\(timm_model_name='),
        ('ViT-B-16-quickgelu', 'ViT-B-16-quickgelu has no vision tower of timm'),
        (
            dict(embed_dim=1280, vision_cfg=dict(timm_model_name='mobilenetv2_035', timm_proj='none')),
            "no pretrained weights for 'mobilenetv2_035'; with weights: none",
        ),
        (
            dict(embed_dim=64, vision_cfg=dict(timm_model_name='test_vit.r160_in21k', timm_proj='none')),
            r"timm has no weights 'test_vit.r160_in21k'. Did you mean: test_vit.r160_in1k\?",
        ),
    ],
)
def test_mistakes(config, message):
    with pytest.raises(UserError, match=message):
        CLIPBackbone(config, 'timm').init_weights()


def test_weights_of_another_model(hub_cache, tmp_path, monkeypatch):
    save_file(timm.create_model('test_efficientnet').state_dict(), tmp_path / 'w.safetensors')
    monkeypatch.setattr('textxfer_mm.vision.imagenet._cached_file', lambda _: tmp_path / 'w.safetensors')
    with pytest.raises(UserError, match=f"timm's weights of {NAME} cannot be loaded into custom-.* they lack "):
        CLIPBackbone(arch(), 'timm').init_weights()


def test_a_pool_that_the_weights_were_not_trained_with(hub_cache):
    """timm would leave another norm behind the average, untrained, with a line in its log."""
    with pytest.raises(UserError, match=r"they lack fc_norm.* wants timm_pool='token'"):
        CLIPBackbone(arch(timm_pool='avg'), 'timm').init_weights()


def test_a_cnn_from_the_cache(tmp_path, monkeypatch):
    """The same for a convolutional trunk, whose weights timm stores under another tag."""
    monkeypatch.setattr('textxfer_mm.vision.imagenet._cached_file', lambda _: tmp_path / 'w.safetensors')
    model = timm.create_model('test_efficientnet')
    save_file(model.state_dict(), tmp_path / 'w.safetensors')
    backbone = CLIPBackbone(TINY_TIMM, 'timm')
    backbone.init_weights()
    torch.testing.assert_close(backbone.visual.trunk.conv_stem.weight, model.conv_stem.weight)
