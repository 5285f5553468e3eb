import copy

import pytest
import torch

from textxfer_mm.errors import UserError
from textxfer_mm.layers.temporal_transformer import TemporalTransformerLayers
from textxfer_mm.models.necks import TemporalAveragePool, TemporalTransformer
from textxfer_mm.registry import MODELS

NECKS = [
    dict(type='TemporalAveragePool'),
    dict(type='TemporalTransformer', in_channels=64, num_layers=2, num_heads=4),
]


@pytest.mark.parametrize('cfg', NECKS, ids=lambda cfg: cfg['type'])
def test_neck_protocol(cfg):
    neck = MODELS.build(cfg)
    x = torch.randn(2, 64, 5, 3, 3, requires_grad=True)
    out, loss_aux = neck(x, data_samples=None)
    assert loss_aux == {}
    assert out.ndim == 5
    assert out.shape[:2] == (2, 64)
    out.sum().backward()
    assert torch.isfinite(x.grad).all()
    clone = MODELS.build(cfg)
    clone.load_state_dict(copy.deepcopy(neck.state_dict()))
    torch.testing.assert_close(clone(x)[0], out)


def test_average_pool_is_the_mean_over_frames_of_each_position():
    x = torch.randn(2, 4, 5, 3, 2, requires_grad=True)
    reference_input = x.detach().clone().requires_grad_()
    out, _ = TemporalAveragePool()(x)
    expected = torch.stack([reference_input[:, :, t] for t in range(5)]).sum(0) / 5  # (N, D, H, W)
    torch.testing.assert_close(out[:, :, 0], expected, atol=1e-5, rtol=1e-5)
    assert out.shape == (2, 4, 1, 3, 2)
    weight = torch.randn_like(expected)
    (out[:, :, 0] * weight).sum().backward()
    (expected * weight).sum().backward()
    torch.testing.assert_close(x.grad, reference_input.grad, atol=1e-5, rtol=1e-5)


def test_temporal_transformer_runs_on_frame_vectors_and_keeps_frames():
    torch.manual_seed(0)
    neck = TemporalTransformer(64, num_layers=2, num_heads=4)
    x = torch.randn(2, 64, 5, 1, 1)
    out, _ = neck(x)
    assert out.shape == (2, 64, 5, 1, 1)
    for video, result in zip(x, out, strict=True):  # one video at a time
        frames = video.flatten(1).t()[None]  # (1, T, D)
        torch.testing.assert_close(result.flatten(1).t()[None], neck.layers(frames), atol=1e-5, rtol=1e-5)


def test_temporal_transformer_averages_space_first():
    neck = TemporalTransformer(64, num_layers=1)
    x = torch.randn(2, 64, 3, 4, 5)
    pooled = x.mean(dim=(3, 4), keepdim=True)
    torch.testing.assert_close(neck(x)[0], neck(pooled)[0], atol=1e-5, rtol=1e-5)


def test_authors_weights_load_by_a_rename():
    layers = TemporalTransformerLayers(64, num_layers=2)
    fusion_model = {f'fusion_model.{k}': v for k, v in layers.state_dict().items()}
    neck = TemporalTransformer(64, num_layers=2)
    neck.load_state_dict({k.replace('fusion_model.', 'layers.'): v for k, v in fusion_model.items()}, strict=True)
    x = torch.randn(2, 64, 5, 1, 1)
    torch.testing.assert_close(neck(x)[0][..., 0, 0].transpose(1, 2), layers(x[..., 0, 0].transpose(1, 2)))


def test_initialisation_survives_init_weights():
    torch.manual_seed(0)
    neck = TemporalTransformer(64, num_layers=1)
    before = copy.deepcopy(neck.state_dict())
    neck.init_weights()
    assert all(torch.equal(before[name], value) for name, value in neck.state_dict().items())


@pytest.mark.parametrize('cfg', NECKS, ids=lambda cfg: cfg['type'])
@pytest.mark.parametrize('x', [torch.randn(2, 64, 1, 1), [torch.randn(2, 64, 5, 1, 1)]], ids=['4-D', 'list'])
def test_other_inputs_are_refused(cfg, x):
    with pytest.raises(UserError, match=rf'{cfg["type"]} takes one feature map .* Recognizer3D'):
        MODELS.build(cfg)(x)


def test_other_width_is_refused():
    with pytest.raises(UserError, match=r'in_channels=64\) got features of width 32'):
        TemporalTransformer(64, num_layers=1)(torch.randn(1, 32, 4, 1, 1))
