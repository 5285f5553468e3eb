"""Projections from a backbone's width to the width of the class embeddings."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textxfer_mm.errors import UserError


class LinearProjection(nn.Linear):
    """One linear map (..., in_channels) -> (..., out_channels), without bias like CLIP's own visual projection.

    Args:
        in_channels: Width of the features.
        out_channels: Width D of the class embeddings.
        bias: Whether it has one, which starts at zero.
    """

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = False) -> None:
        super().__init__(in_channels, out_channels, bias=bias)
        nn.init.normal_(self.weight, std=in_channels**-0.5)
        if bias:
            nn.init.zeros_(self.bias)


class MLPProjection(nn.Sequential):
    """Two linear layers with a GELU between them: (..., in_channels) -> (..., out_channels).

    Args:
        in_channels: Width of the features.
        out_channels: Width D of the class embeddings.
        hidden_channels: Width of the hidden layer; ``None`` takes ``in_channels``.
    """

    def __init__(self, in_channels: int, out_channels: int, hidden_channels: int | None = None) -> None:
        hidden = hidden_channels or in_channels
        super().__init__(nn.Linear(in_channels, hidden), nn.GELU(), nn.Linear(hidden, out_channels))


class ConSE(nn.Module):
    """Convex combination of semantic embeddings (Norouzi et al., 2014).

    A classifier's ``top_k`` most probable concepts, weighted by their renormalised probabilities, pick a point between
    the concepts' name embeddings. This aligns an image encoder and a sentence encoder that were never trained together,
    so that zero-shot prediction works without a vision-language model.

    Args:
        in_channels: Width of the features.
        out_channels: Width D of the concept embeddings.
        num_concepts: How many concepts the classifier knows (1000 for ImageNet).
        temperature: Divides the classifier's logits.
        top_k: How many concepts are combined; ``None`` combines all.
        residual: Adds a trainable linear map that starts at zero, so that training begins at exact ConSE and may leave
            the concepts' convex hull.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        num_concepts: int = 1000,
        temperature: float = 1.0,
        top_k: int | None = 10,
        residual: bool = False,
    ) -> None:
        if temperature <= 0 or (top_k is not None and not 1 <= top_k <= num_concepts):
            raise UserError(
                f'ConSE combines 1 to {num_concepts} concepts at a positive temperature, got top_k={top_k} and '
                f'temperature={temperature}.'
            )
        super().__init__()
        self.fc = nn.Linear(in_channels, num_concepts).requires_grad_(False)  # fixed, like the concepts
        self.register_buffer('concepts', torch.zeros(num_concepts, out_channels))
        self.temperature = temperature
        self.top_k = num_concepts if top_k is None else top_k
        self.residual = nn.Linear(in_channels, out_channels, bias=False) if residual else None
        if residual:
            nn.init.zeros_(self.residual.weight)

    @torch.no_grad()
    def load(self, fc_weight: Tensor, fc_bias: Tensor, concepts: Tensor) -> None:
        """Fill the classifier ((num_concepts, in_channels), (num_concepts,)) and the concepts (num_concepts, D)."""
        self.fc.weight.copy_(fc_weight)
        self.fc.bias.copy_(fc_bias)
        self.concepts.copy_(concepts)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in_channels) to (..., D)."""
        out = self.combine(x)
        return out if self.residual is None else out + self.residual(x)

    def combine(self, x: Tensor) -> Tensor:
        """Map (..., in_channels) to (..., D) without what is trained; in float32, as bfloat16 would create ties."""
        with torch.autocast(x.device.type, enabled=False):
            logits = F.linear(x.float(), self.fc.weight.float(), self.fc.bias.float())  # (..., num_concepts)
            best, index = (logits / self.temperature).topk(self.top_k, dim=-1)  # (..., top_k)
            weights = torch.zeros_like(logits).scatter(-1, index, best.softmax(-1))  # (..., num_concepts)
            return weights @ self.concepts.float()  # (..., D)
