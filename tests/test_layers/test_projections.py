"""Projections where a test of the heads would not notice."""

import pytest
import torch

from textxfer_mm.layers.projections import LinearProjection


@pytest.mark.parametrize(('in_channels', 'out_channels'), [(64, 512), (512, 64)])
def test_a_linear_projection_keeps_the_spread_of_its_input(in_channels, out_channels):
    x = 3.0 * torch.randn(256, in_channels)
    out = LinearProjection(in_channels, out_channels)(x)
    assert out.mean().abs() < 0.2
    assert out.std().item() == pytest.approx(3.0, rel=0.05)


def test_no_bias():
    assert (LinearProjection(4, 3)(torch.zeros(2, 4)) == 0).all()
