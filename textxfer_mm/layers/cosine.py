"""Cosine logits: the classifier of the whole project, as a function and as a module that owns its scale."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textxfer_mm.errors import UserError


def cosine_logits(
    features: Tensor, rows: Tensor, scale: Tensor | float, bias: Tensor | float = 0.0, normalize: bool = True
) -> Tensor:
    """Return the scaled cosine similarities of features and class rows, always in float32.

    Both sides are L2-normalised whatever the rows' source (Text4Vis released code), unless ``normalize=False`` takes
    the paper's Eq. 3 at its word: W g(x), the plain product. It runs in float32 outside of autocast: with a scale of
    100, bfloat16 would lose the decimals.

    Args:
        features: Features (N, D).
        rows: Class rows (K, D).
        scale: The factor ``exp(logit_scale)``.
        bias: Added to each logit; only multi-label heads use one.
        normalize: Whether both sides are L2-normalised.

    Returns:
        Logits (N, K) in float32.
    """
    with torch.autocast(features.device.type, enabled=False):
        features, rows = features.float(), rows.float()  # (N, D), (K, D)
        if normalize:
            features, rows = F.normalize(features, dim=-1), F.normalize(rows, dim=-1)
        return scale * (features @ rows.t()) + bias  # (N, K)


class CosineLogits(nn.Module):
    """:func:`cosine_logits` with a learned scale, another one in testing, and a learned bias where one is wanted.

    Args:
        init_scale: The scale at the start of training; its logarithm is the parameter ``logit_scale``.
        max_scale: The most the scale may become; each training step first takes back what the one before it went
            beyond, as CLIP's own training does. ``None`` sets no limit.
        learn_scale: Whether the scale is trained.
        test_scale: The scale in testing; ``None`` takes the trained one.
        init_bias: The initial value of the trained scalar ``logit_bias``; ``None`` has no bias.
        normalize: Whether features and rows are L2-normalised; ``False`` is the literal Eq. 3 of Text4Vis.

    Raises:
        UserError: The initial scale is not positive, or beyond the largest.
    """

    def __init__(
        self,
        *,
        init_scale: float = 100.0,
        max_scale: float | None = None,
        learn_scale: bool = True,
        test_scale: float | None = 100.0,
        init_bias: float | None = None,
        normalize: bool = True,
    ) -> None:
        super().__init__()
        if init_scale <= 0:
            raise UserError(f'init_scale is a positive number, got {init_scale}.')
        if max_scale is not None and not init_scale <= max_scale:
            raise UserError(f'max_scale is None or at least init_scale ({init_scale:g}), got {max_scale}.')
        self.max_scale = max_scale
        self.test_scale = test_scale
        self.normalize = normalize
        self.logit_scale = nn.Parameter(torch.tensor(math.log(init_scale)), requires_grad=learn_scale)
        self.logit_bias = None if init_bias is None else nn.Parameter(torch.tensor(float(init_bias)))

    def scale(self, training: bool) -> Tensor | float:
        """The factor of training, or that of testing."""
        if not training and self.test_scale is not None:
            return self.test_scale
        if self.max_scale is None:
            return self.logit_scale.exp()
        limit = math.log(self.max_scale)
        if not training:
            return self.logit_scale.clamp(max=limit).exp()
        with torch.no_grad():  # the parameter itself: a clamp in the graph would leave it no gradient to come back by
            self.logit_scale.clamp_(max=limit)
        return self.logit_scale.exp()

    def forward(self, features: Tensor, rows: Tensor, training: bool) -> Tensor:
        """Classify features (N, D) by class rows (K, D).

        Returns:
            Logits (N, K) in float32.
        """
        bias = 0.0 if self.logit_bias is None else self.logit_bias
        return cosine_logits(features, rows, self.scale(training), bias, self.normalize)
