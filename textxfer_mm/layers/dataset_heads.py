"""Parts of a model of several datasets: a classifier of each, and maps from the classes of one to those of another."""

import itertools
from collections.abc import Mapping

from torch import Tensor, nn

from textxfer_mm.layers.named_modules import NamedModules
from textxfer_mm.layers.projections import MLPProjection

#: Standard deviation of all linear layers at the start of training (MultiTrain).
INIT_STD = 0.02


def init_linears(module: nn.Module, std: float = INIT_STD) -> None:
    """Draw the weights of all linear layers from a normal distribution cut at 2; biases are zero."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.trunc_normal_(part.weight, std=std)
            if part.bias is not None:
                nn.init.zeros_(part.bias)


class MLPClassifier(nn.Module):
    """fc2(drop(GELU(fc1(x)))): (..., in_channels) -> (..., K).

    Args:
        in_channels: Width of the features.
        num_classes: K.
        hidden_channels: Width of the hidden layer; MultiTrain has 2048.
        dropout: Dropout on the hidden units.
        drop_logits: Whether the logits are dropped out as well, as in MultiTrain's released code.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        hidden_channels: int = 2048,
        dropout: float = 0.5,
        drop_logits: bool = True,
    ) -> None:
        super().__init__()
        self.fc1 = nn.Linear(in_channels, hidden_channels)
        self.act = nn.GELU()
        self.drop = nn.Dropout(dropout)
        self.fc2 = nn.Linear(hidden_channels, num_classes)
        self.drop_logits = drop_logits
        init_linears(self)

    def forward(self, x: Tensor) -> Tensor:
        """Classify features."""
        logits = self.fc2(self.drop(self.act(self.fc1(x))))
        return self.drop(logits) if self.drop_logits else logits


class CrossDatasetProjections(nn.Module):
    """A linear map without bias from the logits of each dataset to those of each other one (MultiTrain).

    The weight of P_{a->d} is ``maps[a][d].weight``, (K_d, K_a): how much each class of a speaks for each class of d.

    Args:
        num_classes: K of each dataset; D datasets have D (D - 1) maps, and a single one has none.
    """

    def __init__(self, num_classes: Mapping[str, int]) -> None:
        super().__init__()
        self.maps = NamedModules(
            (source, NamedModules((target, nn.Linear(k, num_classes[target], bias=False)) for target in others))
            for source, k in num_classes.items()
            if (others := [name for name in num_classes if name != source])
        )
        self.pairs = tuple(itertools.permutations(num_classes, 2))
        init_linears(self)

    def forward(self, logits: Mapping[str, Tensor]) -> dict[tuple[str, str], Tensor]:
        """z_{a->d} (B, K_d) for all pairs (a, d), from logits (B, K_a) by dataset."""
        return {(source, target): self.maps[source][target](logits[source]) for source, target in self.pairs}


class Expander(MLPProjection):
    """The two layers that the informative loss sees features through: (..., D) -> (..., D) (MultiTrain).

    Args:
        channels: D.
        hidden_channels: Width of the hidden layer: 4096 in the released code, 2048 in the paper.
    """

    def __init__(self, channels: int, hidden_channels: int = 4096) -> None:
        super().__init__(channels, channels, hidden_channels)
        init_linears(self)
