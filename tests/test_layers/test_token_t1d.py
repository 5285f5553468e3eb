import pytest
import torch
from torch import nn

from textxfer_mm.errors import UserError
from textxfer_mm.layers.token_t1d import TokenT1D

N, T, L, C = 2, 5, 3, 8


def conv1d_over_class_tokens(x, weight, num_frames):
    """(N*T, L, C): the class token through nn.Conv1d over the frames, the other tokens as they are."""
    conv = nn.Conv1d(C, C, 3, padding=1, bias=False, groups=C)
    conv.weight = nn.Parameter(weight.detach().clone())
    token = x[:, 0].unflatten(0, (-1, num_frames)).transpose(1, 2)  # (N, C, T)
    token = conv(token).transpose(1, 2).flatten(0, 1)  # (N*T, C)
    return torch.stack([token, *x[:, 1:].unbind(1)], dim=1), conv.weight


def test_parity_with_conv1d():
    torch.manual_seed(0)
    module = TokenT1D(C)
    nn.init.normal_(module.weight)
    x = torch.randn(N * T, L, C, requires_grad=True)
    reference_input = x.detach().clone().requires_grad_()
    weight = torch.randn(N * T, L, C)

    out = module(x, T)
    expected, reference_weight = conv1d_over_class_tokens(reference_input, module.weight, T)
    torch.testing.assert_close(out, expected, atol=1e-6, rtol=1e-5)

    (out * weight).sum().backward()
    (expected * weight).sum().backward()
    torch.testing.assert_close(x.grad, reference_input.grad, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(module.weight.grad, reference_weight.grad, atol=1e-6, rtol=1e-5)


def test_identity_initialisation_changes_nothing():
    x = torch.randn(N * T, L, C)
    assert torch.equal(TokenT1D(C, init='identity')(x, T), x)


def test_shift_is_the_initialisation_and_takes_the_neighbours():
    x = torch.randn(N * T, L, C)
    out = TokenT1D(C)(x, T).unflatten(0, (N, T))
    video = x.unflatten(0, (N, T))
    assert torch.equal(out[:, :-1, 0, :2], video[:, 1:, 0, :2])  # the next frame
    assert torch.equal(out[:, 1:, 0, 2:4], video[:, :-1, 0, 2:4])  # the previous frame
    assert torch.equal(out[:, :, 0, 4:], video[:, :, 0, 4:])
    assert not out[:, -1, 0, :2].any()
    assert not out[:, 0, 0, 2:4].any()
    assert torch.equal(out[:, :, 1:], video[:, :, 1:])  # patches stay
    wider = TokenT1D(C, n_div=8)(x, T).unflatten(0, (N, T))
    assert torch.equal(wider[:, :, 0, 2:], video[:, :, 0, 2:])


def test_videos_do_not_mix():
    module = TokenT1D(C)
    x = torch.randn(N * T, L, C)
    changed = x.clone()
    changed[T:] = 0  # the second video
    assert torch.equal(module(x, T)[:T], module(changed, T)[:T])


def test_the_stream_keeps_its_dtype():
    torch.manual_seed(0)
    module = TokenT1D(C, init='identity')
    x = torch.randn(N * T, L, C)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(module(x, T), x)  # float32, not rounded on the way
    nn.init.normal_(module.weight)
    out = module(x.bfloat16(), T)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), module(x, T), atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(init='shfit'), "TokenT1D: unknown init='shfit'. Did you mean: shift"),
        (dict(n_div=1), 'TokenT1D: n_div=1 must be at least 2'),
    ],
)
def test_errors(kwargs, message):
    with pytest.raises(UserError, match=message):
        TokenT1D(C, **kwargs)
