"""Prompts with learned context vectors around the class name (CoOp: Zhou et al., 2022; Text4Vis, supp. B.4, Eq. 1)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.classifiers.sources import TextClassifier
from textxfer_mm.errors import UserError, nearest
from textxfer_mm.text.encoding import isolated
from textxfer_mm.text.text_tower import TextTower

CLASS_POSITIONS = ('end', 'middle', 'front')

#: Prompts of a forward pass without gradient.
_EXPORT_BATCH = 256


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

    Raises:
        UserError: Prompts exceed the context length of the tower (their classes are named), or the tower takes no
            embeddings.
    """

    def __init__(
        self, tower: TextTower, class_names: Sequence[str], *, num_context: int, class_position: str, suffix: str
    ):
        self.tower = tower.requires_grad_(False).eval()
        self.class_names = tuple(class_names)
        with isolated():
            tokens = tower.tokenize([name + suffix for name in class_names])  # (K, L)
            self._embeddings = tower.token_embedding(tokens)  # (K, L, W)
            if (tokens[:, 0] < 0).any():
                raise UserError(f'{tower.encoder_id} pads on the left; learnable prompts need padding on the right.')
            self._check_lengths(tower.lengths(tokens) + num_context, num_context)
            special = int(tower.lengths(tower.tokenize([''])))
            name_lengths = (tower.lengths(tower.tokenize(class_names)) - special).tolist()
            before = _before_name(num_context, class_position)
            order = [
                _arrange(num_context, before, tower.start_tokens, length, tokens.shape[1]) for length in name_lengths
            ]
            self._order = torch.tensor(order)  # (K, M + L), indices into context and tokens one behind the other
            # Any token stands for a context vector, as long as it is neither padding nor the end.
            filler = torch.zeros(len(tokens), num_context, dtype=tokens.dtype)
            self._ids = torch.cat([filler, tokens], dim=1).gather(1, self._order)  # (K, M + L)

    def to(self, device: torch.device) -> 'LearnablePrompts':
        """Move tower and tensors; free of cost where they are there."""
        if self._embeddings.device != device:
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

    def encode(self, context: Tensor, batch_size: int | None = None) -> Tensor:
        """Evaluate the tower on all prompts.

        Args:
            context: (M, W), shared, or (K, M, W), one for each class.
            batch_size: Classes a forward pass; with gradient, the activations of a pass are dropped and computed again
                in the backward pass. None evaluates all classes at once and keeps the activations.

        Returns:
            (K, D), not normalised, with gradient to the context.
        """
        embeddings = self.assemble(context)
        if batch_size is None:
            return self.tower.forward_embeddings(embeddings, self._ids)
        run: Any = self.tower.forward_embeddings
        if embeddings.requires_grad:
            run = _checkpointed(run)
        pairs = zip(embeddings.split(batch_size), self._ids.split(batch_size), strict=True)
        return torch.cat([run(*pair) for pair in pairs])

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
            shown = ', '.join(long[:5]) + (f', and {len(long) - 5} more' if len(long) > 5 else '')
            raise UserError(
                f'{self.tower.encoder_id} reads at most {limit} tokens; with {num_context} context vectors these '
                f'classes have more (tokens): {shown}. Take fewer context vectors or shorter names.'
            )


def _before_name(num_context: int, class_position: str) -> int:
    """How many context vectors stand before the class name."""
    return dict(end=num_context, middle=num_context // 2, front=0)[class_position]


def _arrange(num_context: int, before: int, start: int, name: int, length: int) -> list[int]:
    """Order a prompt: context vectors are 0 ... M-1, tokens M ... M+L-1; ``before`` vectors stand before the name."""
    context, tokens = range(num_context), range(num_context, num_context + length)
    end = start + name
    return [*tokens[:start], *context[:before], *tokens[start:end], *context[before:], *tokens[end:]]


def _checkpointed(run: Any) -> Any:
    def again(*args: Tensor) -> Tensor:
        return checkpoint(run, *args, use_reentrant=False, preserve_rng_state=False)  # a frozen tower draws nothing

    return again


class PromptSource:
    """The classifier source behind learnable prompts: class names and encoder of a text classifier, but no template.

    The tower is loaded when it is first needed, and shared by the copies of a model (moving averages): it is frozen.

    Args:
        classifier: Gives class names and encoder.
        num_context: M.
        class_specific: Whether each class has its own context.
        class_position: See :class:`LearnablePrompts`.
        suffix: See :class:`LearnablePrompts`.

    Raises:
        UserError: Another kind of classifier, an encoder without a tower, or an unknown position.
    """

    def __init__(
        self, classifier: TextClassifier, *, num_context: int, class_specific: bool, class_position: str, suffix: str
    ):
        if not isinstance(classifier, TextClassifier) or not callable(getattr(classifier.encoder, 'tower', None)):
            raise UserError(
                'Learnable prompts are read by a text tower: the classifier is a TextClassifier with an encoder such '
                f'as CLIPTextEncoder, got {type(classifier).__name__}.'
            )
        if class_position not in CLASS_POSITIONS:
            raise UserError(f'Unknown class_position={class_position!r}.{nearest(class_position, CLASS_POSITIONS)}')
        self.classifier = classifier
        self.num_context = num_context
        self.class_specific = class_specific
        self.class_position = class_position
        self.suffix = suffix
        self._prompts: LearnablePrompts | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> 'PromptSource':
        return self

    @property
    def class_names(self) -> tuple[str, ...]:
        """K names in the order of the labels."""
        return self.classifier.class_names

    @property
    def templates(self) -> tuple[str, ...]:
        """The form of the prompts, e.g. ``('[V1] [V2] [V3] [V4] {}.',)``."""
        context = [f'[V{i + 1}]' for i in range(self.num_context)]
        before = _before_name(self.num_context, self.class_position)
        return (' '.join([*context[:before], '{}', *context[before:]]) + self.suffix,)

    @property
    def encoder_id(self) -> str:
        """The encoder's, and that the prompts were learned."""
        return f'{self.classifier.encoder_id}/learned-{"class-prompts" if self.class_specific else "prompt"}'

    @property
    def embed_dims(self) -> int:
        """D, the width of the text encoder."""
        return self.classifier.embed_dims

    @property
    def token_width(self) -> int:
        """W, the width of a context vector."""
        return self.classifier.encoder.token_width

    @property
    def is_loaded(self) -> bool:
        """Whether the tower is here."""
        return self._prompts is not None

    def prompts(self, class_names: Sequence[str]) -> LearnablePrompts:
        """The prompts of K classes; loads the tower at the first call."""
        if self._prompts is None or self._prompts.class_names != tuple(class_names):
            tower = self.classifier.encoder.tower() if self._prompts is None else self._prompts.tower.cpu()
            self._prompts = LearnablePrompts(
                tower,
                class_names,
                num_context=self.num_context,
                class_position=self.class_position,
                suffix=self.suffix,
            )
        return self._prompts

    def build(self, context: Tensor, class_names: Sequence[str]) -> ClassifierBundle:
        """Make the classifier of a context (M, W) or (K, M, W), without gradient and in float32."""
        prompts = self.prompts(class_names).to(context.device)
        with isolated(context.device):
            rows = prompts.encode(context.detach(), _EXPORT_BATCH)
        return ClassifierBundle.from_rows(
            rows, class_names=class_names, templates=self.templates, encoder_id=self.encoder_id
        )
