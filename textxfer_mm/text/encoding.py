"""What the text encoders share: their contract, running undisturbed by training, refusing too long prompts.

An encoder is any object with the members of :class:`TextEncoder`; every classifier source that needs one takes any.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from textxfer_mm.errors import UserError, first_few, shown


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


#: Told of the prompts that are encoded and of all.
_LISTENER: ContextVar[Callable[[int, int], None] | None] = ContextVar('listener', default=None)


@contextmanager
def telling_progress(listener: Callable[[int, int], None]) -> Iterator[None]:
    """Let a function know how many prompts have been encoded, and of how many, as the encoders go on."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def tell_progress(done: int, total: int) -> None:
    """Tell whoever listens."""
    if listener := _LISTENER.get():
        listener(done, total)


def share_of_unknown(ids: Sequence[Sequence[int]], unknown: int | None, special: Iterable[int]) -> list[float]:
    """The share of the tokens of each text that are the unknown one.

    Args:
        ids: The ids of n texts.
        unknown: The id of the unknown token, or None.
        special: Ids that do not count, such as those of start and padding; an unknown token among them says nothing.
    """
    others = set(special)
    if unknown is None or unknown in others:
        return [0.0] * len(ids)
    counted = [[token for token in row if token not in others] for row in ids]
    return [row.count(unknown) / len(row) if row else 0.0 for row in counted]


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


class TextTooLong(UserError):
    """A text has more tokens than a text tower reads."""


def check_lengths(texts: Sequence[str], lengths: Sequence[int], limit: int, encoder_id: str) -> None:
    """Raise :class:`TextTooLong`, naming the texts of more than ``limit`` tokens (special tokens included)."""
    long = [f"'{shown(text, 100)}' ({length})" for text, length in zip(texts, lengths, strict=True) if length > limit]
    if long:
        raise TextTooLong(
            f'{encoder_id} reads at most {limit} tokens; longer prompts (tokens): {first_few(long, 5)}. Shorten them.'
        )


def in_chunks(run: Callable[..., Tensor], *inputs: Tensor, chunk_size: int | None) -> Tensor:
    """Apply a function to the rows of its inputs, some at a time.

    Where gradients are wanted, the activations of a chunk are dropped and computed again in the backward pass: the
    result and its gradients are those of ``run(*inputs)``, the memory is that of one chunk.

    Args:
        run: Maps tensors of n rows each to one tensor of n rows.
        inputs: Tensors of N rows each.
        chunk_size: Rows at a time; None takes all at once and keeps the activations.

    Returns:
        The rows of all chunks, N in all.
    """
    if chunk_size is None or len(inputs[0]) <= chunk_size:
        return run(*inputs)
    chunks = zip(*(x.split(chunk_size) for x in inputs), strict=True)
    if not torch.is_grad_enabled():
        return torch.cat([run(*chunk) for chunk in chunks])
    return torch.cat([checkpoint(run, *chunk, use_reentrant=False) for chunk in chunks])


def require_chunk_size(chunk_size: int | None) -> int | None:
    """Return a chunk size for :func:`in_chunks`.

    Raises:
        UserError: It is neither None nor a whole number of at least 1.
    """
    if chunk_size is not None and (not isinstance(chunk_size, int) or chunk_size < 1):
        raise UserError(f'text_batch_size is None or a whole number of at least 1, got {chunk_size!r}.')
    return chunk_size
