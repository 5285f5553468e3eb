"""The head of Tip-Adapter: the logits of the class names, and the votes of a cache of known videos."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from textxfer_mm.classifiers.key_cache import KeyCache
from textxfer_mm.layers.pooling import Features, pool_features
from textxfer_mm.models.heads.cosine_head import CosineHead
from textxfer_mm.parts.cosine_classifier import classify, maker_of_rows, refuse_options
from textxfer_mm.registry import MODELS


@MODELS.register_module()
class TipAdapterHead(CosineHead):
    """Tip-Adapter (Zhang et al., 2022, arXiv 2111.03930, Eq. 5) over frozen class embeddings.

    logits = scale * f W^T + alpha * exp(-beta (1 - f F^T)) L, where W are the class rows, F the features of the known
    videos, and L their classes. f and F are compared as they come out of the pooling: without a projection, as with
    CLIP, in the space of the class rows, which is the paper's; with one, before it. The cache belongs to the
    checkpoint, which needs no file. Of other class names than those that it was made for, it votes for those it knows.

    Args:
        in_channels: The width C of the pooled features.
        classifier: See :func:`~textxfer_mm.parts.cosine_classifier.maker_of_rows`.
        cache: The file of the known videos, see :class:`~textxfer_mm.classifiers.key_cache.KeyCache`.
        num_keys: The number m of them.
        alpha: The weight of the votes.
        beta: How sharply they fall with the distance.
        train_keys: Trains F (Tip-Adapter-F); the training-free form keeps it.
        shared: The options of :class:`~textxfer_mm.models.heads.cosine_head.CosineHead`, but for several labels.

    Raises:
        UserError: An option is unknown, or widths or class counts disagree.
    """

    def __init__(
        self,
        in_channels: int,
        classifier: dict[str, Any],
        *,
        cache: str | Path,
        num_keys: int,
        alpha: float = 1.0,
        beta: float = 5.5,
        train_keys: bool = False,
        **shared: Any,
    ) -> None:
        refuse_options(self, shared, ('multi_class',), 'the votes are added to the logits of a softmax')
        rows = maker_of_rows(classifier, frozen=True, train_templates=None, template_seed=None)
        super().__init__(in_channels, rows, **shared)
        self.cache = KeyCache(cache, num_keys, in_channels, trained=train_keys)
        self.alpha, self.beta = alpha, beta

    def describe(self, feats: Features) -> Tensor:
        """Embeddings and, beside them, the pooled features: (rows, D + C)."""
        return torch.cat([self.embed(feats), pool_features(feats, self.feature)], dim=1)

    def logits(self, embeddings: Tensor, training: bool) -> Tensor:
        """Classify what :meth:`describe` gave (N, D + C) -> logits (N, K) in float32."""
        width = self.class_rows.embed_dims
        text = classify(self, embeddings[:, :width], training)
        return text + self.alpha * self.cache.votes(embeddings[:, width:], self.class_rows.class_names, self.beta)
