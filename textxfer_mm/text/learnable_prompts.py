"""Prompts with learned context vectors around the class name (CoOp: Zhou et al., 2022; Text4Vis, supp. B.4, Eq. 1)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from textxfer_mm.errors import UserError, first_few
from textxfer_mm.text.encoding import in_chunks, isolated
from textxfer_mm.text.glosses.prompts import with_glosses
from textxfer_mm.text.text_tower import TextTower

CLASS_POSITIONS = ('end', 'middle', 'front')


class LearnablePrompts:
    """K prompts that lack only their context vectors, and the frozen tower that reads them.

    All but the context is computed once: tokens, the embeddings of the class names, and the order of both.

    Args:
        tower: The text tower; it is frozen and put into evaluation mode.
        class_names: K names.
        num_context: M, the number of context vectors of a prompt.
        class_position: Where the class name stands: behind the context, in its middle (the first M // 2 vectors come
            before it), or in front.
        suffix: Text at the end of the prompt, such as CoOp's ``'.'``.
        glosses: A text behind each prompt, or ``''``; shortened where the tower cannot read all of it.

    Raises:
        UserError: Prompts exceed the context length of the tower (their classes are named), or the tower takes no
            embeddings.
    """

    def __init__(
        self,
        tower: TextTower,
        class_names: Sequence[str],
        *,
        num_context: int,
        class_position: str,
        suffix: str,
        glosses: Sequence[str] = (),
    ):
        self.tower = tower.requires_grad_(False).eval()
        self.class_names = tuple(class_names)
        with isolated():
            texts = [name + suffix for name in class_names]
            texts = with_glosses(texts, glosses, tower, reserved=num_context) if glosses else texts
            tokens = tower.tokenize(texts)  # (K, L)
            self._embeddings = tower.token_embedding(tokens)  # (K, L, W)
            if (tokens[:, 0] < 0).any():
                raise UserError(f'{tower.encoder_id} pads on the left; learnable prompts need padding on the right.')
            self._check_lengths(tower.lengths(tokens) + num_context, num_context)
            special = int(tower.lengths(tower.tokenize([''])))
            name_lengths = (tower.lengths(tower.tokenize(class_names)) - special).tolist()
            before = before_name(num_context, class_position)
            order = [
                _arrange(num_context, before, tower.start_tokens, length, tokens.shape[1]) for length in name_lengths
            ]
            self._order = torch.tensor(order)  # (K, M + L), indices into context and tokens one behind the other
            # Any token stands for a context vector, as long as it is neither padding nor the end.
            filler = torch.zeros(len(tokens), num_context, dtype=tokens.dtype)
            self._ids = torch.cat([filler, tokens], dim=1).gather(1, self._order)  # (K, M + L)

    def to(self, device: torch.device) -> 'LearnablePrompts':
        """Move tower and tensors; free of cost where they are there."""
        if {self._embeddings.device, next(self.tower.parameters()).device} != {device}:
            with torch.inference_mode(False):  # a prediction must leave tensors that training can use
                self.tower.to(device)
                self._order, self._ids = self._order.to(device), self._ids.to(device)
                self._embeddings = self._embeddings.to(device)
        return self

    def assemble(self, context: Tensor) -> Tensor:
        """Context (M, W) or (K, M, W) -> the token embeddings of the whole prompts (K, M + L, W)."""
        context = context.to(self._embeddings).expand(len(self._embeddings), -1, -1)  # (K, M, W)
        parts = torch.cat([context, self._embeddings], dim=1)  # (K, M + L, W)
        return parts.gather(1, self._order[..., None].expand(-1, -1, parts.shape[-1]))

    def encode(self, context: Tensor, chunk_size: int | None = None) -> Tensor:
        """Evaluate the tower on all prompts.

        Args:
            context: (M, W), shared, or (K, M, W), one for each class.
            chunk_size: Classes of a forward pass, see :func:`~textxfer_mm.text.encoding.in_chunks`.

        Returns:
            (K, D), not normalised, with gradient to the context.
        """
        return in_chunks(self.tower.forward_embeddings, self.assemble(context), self._ids, chunk_size=chunk_size)

    @torch.no_grad()
    def word_embeddings(self, words: str, num_context: int) -> Tensor:
        """The token embeddings of words (M, W), for a context that starts as words.

        Raises:
            UserError: They are not as many tokens as there are context vectors.
        """
        ids = self.tower.tokenize([words])
        special = int(self.tower.lengths(self.tower.tokenize([''])))
        count = int(self.tower.lengths(ids)) - special
        if count != num_context:
            raise UserError(
                f'init_words={words!r} are {count} tokens of {self.tower.encoder_id}, but there are {num_context} '
                f'context vectors. Give num_context={count}, or words that are one token each.'
            )
        start = self.tower.start_tokens
        return self.tower.token_embedding(ids.to(self._ids.device))[0, start : start + count].clone()

    def _check_lengths(self, lengths: Tensor, num_context: int) -> None:
        limit = self.tower.context_length
        long = [f'{name!r} ({n})' for name, n in zip(self.class_names, lengths.tolist(), strict=True) if n > limit]
        if long:
            raise UserError(
                f'{self.tower.encoder_id} reads at most {limit} tokens; with {num_context} context vectors these '
                f'classes have more (tokens): {first_few(long, 5)}. Take fewer context vectors or shorter names.'
            )


def before_name(num_context: int, class_position: str) -> int:
    """How many context vectors stand before the class name."""
    return dict(end=num_context, middle=num_context // 2, front=0)[class_position]


def _arrange(num_context: int, before: int, start: int, name: int, length: int) -> list[int]:
    """Order a prompt: context vectors are 0 ... M-1, tokens M ... M+L-1; ``before`` vectors stand before the name."""
    context, tokens = range(num_context), range(num_context, num_context + length)
    end = start + name
    return [*tokens[:start], *context[:before], *tokens[start:end], *context[before:], *tokens[end:]]
