"""Top-k accuracies as training logs them: on the device of the scores, so that nothing waits for them."""

from collections.abc import Sequence

import torch
from torch import Tensor


@torch.no_grad()
def topk_accuracies(scores: Tensor, labels: Tensor, topk: Sequence[int]) -> dict[str, Tensor]:
    """The share of rows whose label is among the k best classes.

    mmaction2's ``top_k_accuracy`` takes NumPy arrays, for which a GPU has to finish the forward pass first.

    Args:
        scores: (N, K).
        labels: (N,), on the device of the scores.
        topk: The k; from K on, all rows are right.

    Returns:
        Scalars in float32 by names like ``'top5_acc'``.
    """
    best = scores.topk(min(max(topk, default=1), scores.shape[1])).indices  # (N, k)
    hits = best == labels[:, None]  # one at most in a row
    return {f'top{k}_acc': hits[:, :k].sum() / len(labels) for k in topk}
