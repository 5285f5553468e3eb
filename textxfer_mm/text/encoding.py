"""What the text encoders share: their contract, running undisturbed by training, refusing too long prompts.

An encoder is any object with the members of :class:`TextEncoder`; every classifier source that needs one takes any.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from textxfer_mm.errors import UserError


@runtime_checkable
class TextEncoder(Protocol):
    """What an encoder offers. All but :meth:`encode` is cheap: no weights are loaded for it."""

    @property
    def embed_dims(self) -> int:
        """D, the width of the vectors."""

    @property
    def encoder_id(self) -> str:
        """A short readable name of encoder and weights; saved with classifiers."""

    def fingerprint(self) -> str:
        """Identity including the content of the weights; the cache key of classifiers is made of it."""

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Return (n, D) float32 on the CPU, without gradient; never truncates a text silently."""

    def release(self) -> None:
        """Free the weights until the next :meth:`encode`."""


@contextmanager
def isolated(device: str | torch.device = 'cpu') -> Iterator[None]:
    """Build or run an encoder so that neither it nor the surrounding training notices the other.

    Classifiers are often built inside the first training step: autocast would lower their precision, inference mode
    would make tensors that training cannot use, and initialisation would move the random state on a cache miss only.
    """
    kind = torch.device(device).type
    with (
        torch.random.fork_rng(devices=[]),
        torch.inference_mode(False),
        torch.no_grad(),
        torch.autocast(kind, enabled=False),
    ):
        yield


def check_lengths(texts: Sequence[str], lengths: Sequence[int], limit: int, encoder_id: str) -> None:
    """Raise a :class:`UserError` that names the texts of more than ``limit`` tokens (special tokens included)."""
    long = [f'{text!r} ({length})' for text, length in zip(texts, lengths, strict=True) if length > limit]
    if long:
        shown = ', '.join(long[:5]) + (f', and {len(long) - 5} more' if len(long) > 5 else '')
        raise UserError(f'{encoder_id} reads at most {limit} tokens; longer prompts (tokens): {shown}. Shorten them.')
