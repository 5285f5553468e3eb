"""Text encoders: from prompts to vectors.

An encoder is any object with the members of :class:`TextEncoder`; every classifier source that needs one takes any.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

from textxfer_mm.text.clip_encoder import CLIPTextEncoder
from textxfer_mm.text.language_encoder import LanguageModelEncoder

__all__ = ['CLIPTextEncoder', 'LanguageModelEncoder', 'TextEncoder']


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
