"""The output of frozen stages in the place of pixels: the same features, gradients and running statistics."""

import pytest
import torch
from tiny import TINY_RESNET, TINY_TIMM, TINY_VIT
from torch.nn.modules.batchnorm import _BatchNorm

from textxfer_mm.errors import UserError
from textxfer_mm.models import CLIPBackbone

TEMPORAL = dict(type='T1D', stages=[3, 4], init='shift')


@pytest.mark.parametrize('with_cp', [False, True])
@pytest.mark.parametrize('number', [0, 2])
@pytest.mark.parametrize('arch', [TINY_RESNET, TINY_TIMM], ids=['resnet', 'timm'])
def test_a_training_step_is_the_same(arch, number, with_cp):
    torch.manual_seed(0)
    whole = CLIPBackbone(arch, frozen_stages=number, temporal=TEMPORAL, with_cp=with_cp)
    for module in whole.modules():
        if isinstance(module, _BatchNorm):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    part = CLIPBackbone(arch, frozen_stages=number, temporal=TEMPORAL, with_cp=with_cp)
    part.load_state_dict(whole.state_dict())
    x = torch.randn(2, 3, 4, 32, 32)
    maps = whole.eval().encode_frozen(x)  # (N, C, T, H', W')
    assert maps.shape[:3] == (2, maps.shape[1], 4)
    assert not maps.requires_grad
    torch.testing.assert_close(whole(x), part.eval()(maps))
    features = []
    for backbone, given in ((whole.train(), x), (part.train(), maps)):
        backbone(given).square().sum().backward()
        with torch.no_grad():
            features.append(backbone.eval()(x))
    torch.testing.assert_close(features[0], features[1])
    parts = dict(part.named_parameters())
    trained = {name: p.grad for name, p in whole.named_parameters() if p.grad is not None}
    assert any(name.startswith('temporal') for name in trained)
    for name, gradient in trained.items():
        torch.testing.assert_close(parts[name].grad, gradient, msg=lambda text, name=name: f'{name}: {text}')
    for name, buffer in whole.named_buffers():
        torch.testing.assert_close(dict(part.named_buffers())[name], buffer)


def test_frames_alone():
    backbone = CLIPBackbone(TINY_RESNET, frozen_stages=1).eval()
    x = torch.randn(3, 3, 32, 32)
    torch.testing.assert_close(backbone(backbone.encode_frozen(x)), backbone(x))


@pytest.mark.parametrize(
    ('arch', 'options', 'message'),
    [
        (TINY_VIT, dict(frozen_stages=1), 'has no stages to keep the output of'),
        (TINY_RESNET, {}, 'frozen_stages=-1 of .*: give 0'),
        (TINY_RESNET, dict(frozen_stages=4), 'frozen_stages=4 of .*: give 0 .* to 3'),
        (
            TINY_RESNET,
            dict(frozen_stages=3, temporal=TEMPORAL),
            'the temporal module stage3_block0 within is trained, so what these stages give changes',
        ),
    ],
)
def test_what_is_not_frozen_is_refused(arch, options, message):
    with pytest.raises(UserError, match=message):
        CLIPBackbone(arch, **options).eval().encode_frozen(torch.randn(1, 3, 2, 32, 32))


def test_other_channels_are_refused():
    backbone = CLIPBackbone(TINY_RESNET, frozen_stages=1)
    with pytest.raises(UserError, match='CLIPBackbone takes videos'):
        backbone(torch.randn(1, 5, 2, 32, 32))
