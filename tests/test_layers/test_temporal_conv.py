import pytest
import torch
from torch import nn

from textxfer_mm.errors import UserError
from textxfer_mm.layers.temporal_conv import T1D

N, T, C = 2, 5, 8


def conv1d_over_frames(x, weight, num_frames):
    """(N*T, C, H, W) through nn.Conv1d, one position at a time."""
    conv = nn.Conv1d(C, C, 3, padding=1, bias=False, groups=C)
    conv.weight = nn.Parameter(weight.detach().clone())
    video = x.unflatten(0, (-1, num_frames))  # (N, T, C, H, W)
    out = torch.empty_like(video)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            out[..., i, j] = conv(video[..., i, j].transpose(1, 2)).transpose(1, 2)
    return out.flatten(0, 1), conv.weight


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
def test_parity_with_conv1d(memory_format):
    torch.manual_seed(0)
    module = T1D(C)
    nn.init.normal_(module.weight)
    x = torch.randn(N * T, C, 3, 4).contiguous(memory_format=memory_format).requires_grad_()
    reference_input = x.detach().clone().requires_grad_()
    weight = torch.randn(N * T, C, 3, 4)

    out = module(x, T)
    expected, reference_weight = conv1d_over_frames(reference_input, module.weight, T)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)

    (out * weight).sum().backward()
    (expected * weight).sum().backward()
    torch.testing.assert_close(x.grad, reference_input.grad, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(module.weight.grad, reference_weight.grad, atol=1e-5, rtol=1e-5)


def test_identity_initialisation_changes_nothing():
    x = torch.randn(N * T, C, 3, 4)
    torch.testing.assert_close(T1D(C)(x, T), x, atol=0, rtol=0)


def test_shift_initialisation_takes_the_neighbours():
    x = torch.randn(N * T, C, 3, 4)
    out = T1D(C, init='shift', n_div=4)(x, T).unflatten(0, (N, T))
    video = x.unflatten(0, (N, T))
    torch.testing.assert_close(out[:, :-1, :2], video[:, 1:, :2])  # the next frame
    torch.testing.assert_close(out[:, 1:, 2:4], video[:, :-1, 2:4])  # the previous frame
    torch.testing.assert_close(out[:, :, 4:], video[:, :, 4:])
    assert not out[:, -1, :2].any()
    assert not out[:, 0, 2:4].any()


def test_videos_do_not_mix():
    module = T1D(C, init='shift')
    x = torch.randn(N * T, C, 3, 4)
    changed = x.clone()
    changed[T:] = 0  # the second video
    torch.testing.assert_close(module(x, T)[:T], module(changed, T)[:T], atol=0, rtol=0)


def test_bf16_agrees_with_fp32():
    torch.manual_seed(0)
    module = T1D(C, init='shift')
    x = torch.randn(N * T, C, 3, 4)
    out = module(x.bfloat16(), T)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), module(x, T), atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(init='shfit'), "unknown init='shfit'. Did you mean: shift"),
        (dict(init='shift', n_div=1), 'n_div=1 must be at least 2'),
    ],
)
def test_errors(kwargs, message):
    with pytest.raises(UserError, match=message):
        T1D(C, **kwargs)
