import math

import pytest
import torch
from torch.nn import functional as F

from textxfer_mm.errors import UserError
from textxfer_mm.layers.temporal_transformer import TemporalTransformerLayers

D, HEADS, T = 32, 4, 8


def naive_layer_norm(x, weight, bias):
    """The authors' TF-style LayerNorm, eps 1e-12 inside the root."""
    mean = x.mean(-1, keepdim=True)
    var = (x - mean).pow(2).mean(-1, keepdim=True)
    return weight * (x - mean) / torch.sqrt(var + 1e-12) + bias


def naive_attention(x, state, prefix):
    q, k, v = (x @ state[prefix + 'in_proj_weight'].t() + state[prefix + 'in_proj_bias']).chunk(3, -1)
    heads = []
    for i in range(HEADS):
        part = slice(i * D // HEADS, (i + 1) * D // HEADS)
        scores = q[..., part] @ k[..., part].transpose(1, 2) / math.sqrt(D // HEADS)
        heads.append(scores.softmax(-1) @ v[..., part])
    return torch.cat(heads, -1) @ state[prefix + 'out_proj.weight'].t() + state[prefix + 'out_proj.bias']


def naive_temporal_transformer(frames, state, num_layers):
    """(N, T, D) to (N, T, D), written out from the paper's description."""
    x = frames + state['frame_position_embeddings.weight'][: frames.shape[1]]
    for i in range(num_layers):
        p = f'transformer.resblocks.{i}.'
        x = x + naive_attention(
            naive_layer_norm(x, state[p + 'ln_1.weight'], state[p + 'ln_1.bias']), state, p + 'attn.'
        )
        y = naive_layer_norm(x, state[p + 'ln_2.weight'], state[p + 'ln_2.bias'])
        y = y @ state[p + 'mlp.c_fc.weight'].t() + state[p + 'mlp.c_fc.bias']
        y = y * torch.sigmoid(1.702 * y)
        x = x + y @ state[p + 'mlp.c_proj.weight'].t() + state[p + 'mlp.c_proj.bias']
    return x + frames


@pytest.fixture
def layers():
    torch.manual_seed(0)
    module = TemporalTransformerLayers(D, num_layers=3, num_heads=HEADS, max_frames=12)
    for parameter in module.parameters():  # away from the initialisation, where most terms are near zero
        torch.nn.init.normal_(parameter, std=0.2)
    return module


def test_parity_with_naive_reference(layers):
    frames = torch.randn(3, T, D, requires_grad=True)
    weight = torch.randn(3, T, D)
    state = {name: value.detach().clone().requires_grad_() for name, value in layers.named_parameters()}
    reference_input = frames.detach().clone().requires_grad_()

    out = layers(frames)
    expected = naive_temporal_transformer(reference_input, state, 3)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)

    (out * weight).sum().backward()
    (expected * weight).sum().backward()
    torch.testing.assert_close(frames.grad, reference_input.grad, atol=1e-5, rtol=1e-4)
    for name, parameter in layers.named_parameters():
        scale = state[name].grad.abs().max()
        torch.testing.assert_close(parameter.grad / scale, state[name].grad / scale, atol=1e-5, rtol=0, msg=name)


def test_eval_without_gradients_agrees(layers):
    frames = torch.randn(2, T, D)
    expected = layers(frames)
    with torch.no_grad():
        torch.testing.assert_close(layers.eval()(frames), expected, atol=1e-5, rtol=1e-5)


def test_bf16_agrees_with_fp32():
    torch.manual_seed(0)
    layers = TemporalTransformerLayers(64)
    frames = torch.randn(2, T, 64)
    expected = layers(frames).mean(1)
    with torch.autocast('cpu', torch.bfloat16):
        out = layers(frames).mean(1)
    torch.testing.assert_close(F.normalize(out.float(), dim=-1), F.normalize(expected, dim=-1), atol=1e-2, rtol=0)


def test_initialisation_is_the_papers():
    torch.manual_seed(0)
    layers = TemporalTransformerLayers(256, num_layers=2)
    block = layers.transformer.resblocks[1]
    for weight in (
        layers.frame_position_embeddings.weight,
        block.attn.out_proj.weight,
        block.mlp.c_fc.weight,
        block.mlp.c_proj.weight,
    ):
        assert weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert block.attn.in_proj_weight.abs().max() <= math.sqrt(6 / (256 * 4)) + 1e-6  # Xavier-uniform of (3D, D)
    assert block.attn.in_proj_weight.std().item() == pytest.approx(math.sqrt(6 / (256 * 4) / 3), rel=0.05)
    for bias in (block.attn.in_proj_bias, block.attn.out_proj.bias, block.mlp.c_fc.bias, block.mlp.c_proj.bias):
        assert not bias.any()


def test_weights_carry_the_authors_names():
    names = set(TemporalTransformerLayers(64, num_layers=1).state_dict())
    block = 'transformer.resblocks.0.'
    expected = {'frame_position_embeddings.weight', block + 'attn.in_proj_weight', block + 'attn.in_proj_bias'}
    for part in ('ln_1', 'attn.out_proj', 'ln_2', 'mlp.c_fc', 'mlp.c_proj'):
        expected |= {f'{block}{part}.weight', f'{block}{part}.bias'}
    assert names == expected


def test_positions_are_the_first_rows_by_default(layers):
    table = layers.frame_position_embeddings.weight
    torch.testing.assert_close(layers.positions(5), table[:5], atol=0, rtol=0)


def test_positions_interpolate_from_the_trained_length():
    layers = TemporalTransformerLayers(D, num_heads=HEADS, max_frames=12, num_frames=4)
    with torch.no_grad():
        layers.frame_position_embeddings.weight.copy_(torch.arange(12.0)[:, None].expand(12, D))
    torch.testing.assert_close(layers.positions(4)[:, 0], torch.arange(4.0))
    # Twice as many frames: the centre of frame t lies at (t + 0.5) / 2 - 0.5 of the old ones, held at the ends
    expected = torch.tensor([0.0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.0])
    torch.testing.assert_close(layers.positions(8)[:, 0], expected)
    torch.testing.assert_close(layers.positions(2)[:, 0], torch.tensor([0.5, 2.5]))


def test_more_frames_than_rows_interpolate_the_table():
    layers = TemporalTransformerLayers(D, num_heads=HEADS, max_frames=6)
    assert layers.positions(6).shape == (6, D)
    longer = layers.positions(24)
    assert longer.shape == (24, D)
    torch.testing.assert_close(longer[0], layers.frame_position_embeddings.weight[0])
    assert layers(torch.randn(1, 24, D)).shape == (1, 24, D)


def test_a_bottleneck_starts_at_the_frames_and_is_the_blocks_between_two_maps():
    torch.manual_seed(0)
    layers = TemporalTransformerLayers(48, num_layers=2, num_heads=HEADS, bottleneck=D)
    frames = torch.randn(3, T, 48)
    torch.testing.assert_close(layers(frames), frames, atol=0, rtol=0)  # the last map is zero
    for parameter in layers.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    frames.requires_grad_()
    state = {name: value.detach().clone().requires_grad_() for name, value in layers.named_parameters()}
    reference = frames.detach().clone().requires_grad_()
    down = reference @ state['down.weight'].t() + state['down.bias']
    mixed = naive_temporal_transformer(down, state, 2) - down
    expected = reference + mixed @ state['up.weight'].t() + state['up.bias']
    torch.testing.assert_close(layers(frames), expected, atol=1e-4, rtol=1e-5)
    weight = torch.randn(3, T, 48)
    (layers(frames) * weight).sum().backward()
    (expected * weight).sum().backward()
    torch.testing.assert_close(frames.grad, reference.grad, atol=1e-4, rtol=1e-4)
    for name, parameter in layers.named_parameters():
        scale = state[name].grad.abs().max()
        torch.testing.assert_close(parameter.grad / scale, state[name].grad / scale, atol=1e-5, rtol=0, msg=name)


def test_a_bottleneck_learns_the_order_of_frames():
    """Videos whose frames are the same but in another order: their average tells nothing."""
    torch.manual_seed(0)
    layers = TemporalTransformerLayers(D, num_layers=1, num_heads=1, bottleneck=16)
    frames = torch.randn(16, T, D)
    videos, labels = torch.cat([frames, frames.flip(1)]), torch.arange(32) // 16
    head = torch.nn.Linear(D, 2)
    optimizer = torch.optim.AdamW([*layers.parameters(), *head.parameters()], lr=3e-3)
    for _ in range(100):
        loss = F.cross_entropy(head(layers(videos).mean(1)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (head(layers(videos).mean(1)).argmax(1) == labels).float().mean() > 0.9


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(num_heads=5), 'no multiple of num_heads=5'),
        (dict(bottleneck=D), 'bottleneck=32 must lie between 1 and the width 32 less one'),
        (dict(bottleneck=0), 'bottleneck=0 must lie between'),
        (dict(bottleneck=6, num_heads=4), 'the width 6 is no multiple of num_heads=4'),
        (dict(num_heads=4, max_frames=8, num_frames=16), 'num_frames=16 must lie between 1 and max_frames=8'),
    ],
)
def test_errors(kwargs, message):
    with pytest.raises(UserError, match=message):
        TemporalTransformerLayers(D, **kwargs)
