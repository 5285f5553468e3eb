"""Votes of a cache of known features: the non-parametric half of Tip-Adapter."""

import torch
import torch.nn.functional as F
from torch import Tensor


def key_votes(features: Tensor, keys: Tensor, values: Tensor, beta: float) -> Tensor:
    """exp(-beta (1 - f F^T)) L, of unit norm f and F (Tip-Adapter, Zhang et al., 2022, arXiv 2111.03930, Eq. 4 and 5).

    In float32 outside of autocast, as the cosine logits that it is added to.

    Args:
        features: f, features (N, C) of any norm.
        keys: F, the features (m, C) of the known videos, of any norm.
        values: L, their classes (m, K) as zeros and ones.
        beta: How sharply the votes fall with the distance.

    Returns:
        Votes (N, K) in float32.
    """
    with torch.autocast(features.device.type, enabled=False):
        cosines = F.normalize(features.float(), dim=-1) @ F.normalize(keys.float(), dim=-1).t()  # (N, m)
        return (-beta * (1 - cosines)).exp() @ values.float()
