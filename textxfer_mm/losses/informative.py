"""The informative loss of MultiTrain: features that vary in every direction (VICReg without its invariance term)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def variance_hinge(features: Tensor, gamma: float = 1.0, eps: float = 1e-4) -> Tensor:
    """mean_j relu(gamma - sqrt(var_j + eps)): how far the standard deviations of the D columns are below gamma.

    The variance is the unbiased one. A single row has none: it counts as a constant batch, and so does no row at all;
    the loss is then gamma - sqrt(eps), and its gradient zero.

    Args:
        features: (N, D), floating.
        gamma: The standard deviation that is asked for.
        eps: Added to the variances.

    Returns:
        A scalar.
    """
    return _hinge(_centred(features), gamma, eps)


def off_diagonal_covariance(features: Tensor) -> Tensor:
    """sum_{j != k} Cov_jk^2 / D of the D columns; 0 for a single row.

    Args:
        features: (N, D), floating.

    Returns:
        A scalar.
    """
    return _spread(_centred(features))


def informative_loss(
    features: Tensor, variance_weight: float = 25.0, covariance_weight: float = 1.0, gamma: float = 1.0
) -> Tensor:
    """variance_weight * :func:`variance_hinge` + covariance_weight * :func:`off_diagonal_covariance` (MultiTrain).

    It is computed in float32 outside of autocast; the released code computes it of half-precision features. A constant
    batch has 24.75 with the weights of the paper. Features of all processes are gathered before
    (:func:`~textxfer_mm.losses.gather.gather_with_grad`): the variance of a batch is not the mean of its parts'.

    Args:
        features: (N, D), of all datasets together.
        variance_weight: Weight of the variance.
        covariance_weight: Weight of the covariance.
        gamma: The standard deviation that is asked for.

    Returns:
        A scalar in float32, or in float64 for features in it.
    """
    with torch.autocast(features.device.type, enabled=False):
        centred = _centred(features if features.dtype == torch.float64 else features.float())
        return variance_weight * _hinge(centred, gamma) + covariance_weight * _spread(centred)


def _hinge(centred: Tensor, gamma: float, eps: float = 1e-4) -> Tensor:
    """:func:`variance_hinge` of features less their mean."""
    variances = centred.square().sum(0) / _freedom(centred)  # (D,)
    return F.relu(gamma - (variances + eps).sqrt()).mean()


def _spread(centred: Tensor) -> Tensor:
    """:func:`off_diagonal_covariance` of features less their mean."""
    covariance = centred.t() @ centred / _freedom(centred)  # (D, D)
    return (covariance - covariance.diagonal().diag()).square().sum() / centred.shape[1]


def _centred(features: Tensor) -> Tensor:
    """The features less their mean; defined for no row, too."""
    return features - features.sum(0) / max(len(features), 1)


def _freedom(features: Tensor) -> int:
    """N - 1, the divisor of an unbiased variance; 1 where there is none."""
    return max(len(features) - 1, 1)
