"""Depthwise convolutions with the fast gradient are those of ``nn.Conv2d``, forward and gradient."""

import copy

import pytest
import torch
from torch import nn

from textxfer_mm.layers import depthwise
from textxfer_mm.layers.depthwise import DepthwiseConv2d, with_fast_depthwise
from textxfer_mm.vision.towers import build_vision_tower


@pytest.fixture
def taken(monkeypatch):
    """How often the fast gradient is taken."""
    calls, apply = [], depthwise._Convolution.apply
    monkeypatch.setattr(depthwise._Convolution, 'apply', lambda *args: calls.append(args) or apply(*args))
    return calls


def both(conv, x):
    """The outputs and gradients of a stock convolution and of the fast one."""
    found = []
    for one in (conv, with_fast_depthwise(copy.deepcopy(conv))):
        given = x.clone().requires_grad_()
        out = one(given)
        (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
        found.append((out.detach(), given.grad, one.weight.grad))
    return found


@pytest.mark.parametrize('size', [(3, 3), (1, 1), (5, 2), (9, 9), (4, 7)])
@pytest.mark.parametrize(
    'options',
    [
        dict(kernel_size=5, padding=2),
        dict(kernel_size=3, padding=1, stride=2),
        dict(kernel_size=(1, 3), padding=(0, 1), stride=(2, 1)),
        dict(kernel_size=1),
        dict(kernel_size=5, padding=4, stride=3),
    ],
)
def test_equal_to_the_stock_one(taken, size, options):
    torch.manual_seed(0)
    conv = nn.Conv2d(6, 6, groups=6, bias=False, **options).double()
    x = torch.randn(4, 6, *size, dtype=torch.float64).to(memory_format=torch.channels_last)
    for stock, fast in zip(*both(conv, x), strict=True):
        torch.testing.assert_close(fast, stock, rtol=1e-12, atol=1e-12)
    assert len(taken) == 1


def test_where_it_is_not_taken(taken):
    conv = DepthwiseConv2d(4, 4, 3, groups=4, bias=False)
    conv(torch.randn(1, 4, 10, 10))  # a large map
    with torch.no_grad():
        conv(torch.randn(1, 4, 5, 5))
    with torch.autocast('cpu', torch.bfloat16):
        assert conv(torch.randn(1, 4, 5, 5)).dtype == torch.bfloat16
    conv.eval()(torch.randn(1, 4, 5, 5))
    conv.train().requires_grad_(False)(torch.randn(1, 4, 5, 5))
    assert not taken


@pytest.mark.parametrize(
    'options',
    [dict(groups=2), dict(groups=4, dilation=2), dict(groups=4, bias=True), dict(groups=4, padding='same')],
)
def test_other_convolutions_stay(options):
    conv = nn.Conv2d(4, 4, 3, **{'bias': False, **options})
    assert type(with_fast_depthwise(nn.Sequential(conv))[0]) is nn.Conv2d


def test_a_tower_has_them_and_its_weights_are_called_the_same(taken):
    arch = dict(
        embed_dim=8,
        vision_cfg=dict(timm_model_name='test_efficientnet', timm_model_pretrained=False, image_size=64),
    )
    torch.manual_seed(0)
    tower = build_vision_tower(arch)[2].train()
    stock = copy.deepcopy(tower)
    for part in stock.modules():
        if isinstance(part, DepthwiseConv2d):
            part.__class__ = nn.Conv2d
    assert list(stock.state_dict()) == list(tower.state_dict())
    frames = torch.randn(2, 3, 64, 64)
    for model in (stock, tower):
        model(frames).square().sum().backward()
    assert taken
    for (name, one), other in zip(stock.named_parameters(), tower.parameters(), strict=True):
        scale = one.grad.abs().max().clamp(min=1)
        assert (one.grad - other.grad).abs().max() <= 1e-5 * scale, name
