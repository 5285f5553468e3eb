"""The informative loss against a naive reference, and where there is nothing to estimate a variance of."""

import pytest
import torch

from textxfer_mm.losses.informative import informative_loss, off_diagonal_covariance, variance_hinge


def naive(x):
    """25 * mean relu(1 - std) + off-diagonal covariances, entry by entry."""
    width = x.shape[1]
    covariance = torch.cov(x.T)
    hinge = sum(torch.relu(1 - (covariance[j, j] + 1e-4).sqrt()) for j in range(width)) / width
    others = sum(covariance[j, k] ** 2 for j in range(width) for k in range(width) if j != k) / width
    return 25 * hinge + others


@pytest.mark.parametrize('rows', [2, 3, 16])
@pytest.mark.parametrize('scale', [0.3, 3.0])
def test_value_and_gradient(rows, scale):
    x = (scale * torch.randn(rows, 5, generator=torch.Generator().manual_seed(rows))).requires_grad_()
    loss = informative_loss(x)
    reference = naive(x)
    assert loss.item() == pytest.approx(reference.item(), rel=1e-5)
    ours, theirs = torch.autograd.grad(loss, x)[0], torch.autograd.grad(reference, x)[0]
    torch.testing.assert_close(ours, theirs, atol=1e-5 * theirs.abs().max().item(), rtol=1e-5)
    assert ours.abs().max() > 1e-3


def test_whitened_features_cost_nothing():
    x = torch.tensor([[1.0, 1.0], [1, -1], [-1, 1], [-1, -1]])  # each column has the variance 4 / 3
    assert informative_loss(x) == 0


def test_weights_and_gamma():
    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    parts = 3 * variance_hinge(x, 2.0) + 7 * off_diagonal_covariance(x)
    torch.testing.assert_close(informative_loss(x, 3.0, 7.0, 2.0), parts)


@pytest.mark.parametrize('rows', [0, 1, 4])
def test_what_does_not_vary_is_a_constant_batch(rows):
    x = torch.full((rows, 3), 2.0, requires_grad=True)
    loss = informative_loss(x)
    assert loss.item() == pytest.approx(24.75)
    loss.backward()
    assert torch.equal(x.grad, torch.zeros_like(x))


def test_a_single_column_has_no_other():
    x = torch.randn(4, 1)
    assert off_diagonal_covariance(x) == 0
    assert torch.isfinite(informative_loss(x))


def test_float32_within_autocast():
    x = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
    with torch.autocast('cpu', torch.bfloat16):
        loss = informative_loss(x)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, informative_loss(x))
    assert informative_loss(x.bfloat16()).dtype == torch.float32
