"""What the text encoders share: running undisturbed by training, and refusing prompts that would be cut off."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from textxfer_mm.errors import UserError


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
