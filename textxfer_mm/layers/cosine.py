"""Cosine logits: the classifier of the whole project, as one function."""

import torch
import torch.nn.functional as F
from torch import Tensor


def cosine_logits(features: Tensor, classifier: Tensor, scale: Tensor | float, bias: Tensor | float = 0.0) -> Tensor:
    """Return the scaled cosine similarities of features and class embeddings, always in float32.

    Both sides are L2-normalised whatever the classifier's source (Text4Vis released code; the paper's Eq. 3 leaves the
    normalisation to CLIP). The product runs in float32, outside of autocast: with a scale of 100, bfloat16 would lose
    the decimals.

    Args:
        features: Features (N, D).
        classifier: Class embeddings (K, D).
        scale: The factor ``exp(logit_scale)``.
        bias: Added to each logit; only multi-label heads use one.

    Returns:
        Logits (N, K) in float32.
    """
    with torch.autocast(features.device.type, enabled=False):
        features = F.normalize(features.float(), dim=-1)  # (N, D)
        classifier = F.normalize(classifier.float(), dim=-1)  # (K, D)
        return scale * (features @ classifier.t()) + bias  # (N, K)
