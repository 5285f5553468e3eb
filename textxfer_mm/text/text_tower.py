"""Text towers as modules: tokens or token embeddings -> vectors, with gradient.

The encoders run these towers without gradient and free them; a head that needs gradients through the text side keeps
one (:meth:`CLIPTextEncoder.tower`, :meth:`LanguageModelEncoder.tower`).
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from textxfer_mm.errors import UserError
from textxfer_mm.text.encoding import check_lengths, in_chunks, isolated, tell_progress

if TYPE_CHECKING:
    from open_clip.tokenizer import HFTokenizer, SimpleTokenizer


class TextTower(nn.Module):
    """What the towers share. Their weights are float32 and trainable; whoever holds a tower freezes it.

    Attributes:
        embed_dims: D, the width of the vectors.
        token_width: W, the width of the token embeddings.
        context_length: The most tokens of a prompt, special tokens included; infinite for a model without a limit.
        start_tokens: How many tokens come before those of the text.
        encoder_id: The id of the encoder the tower belongs to, for messages.
    """

    embed_dims: int
    token_width: int
    context_length: float
    start_tokens: int
    encoder_id: str

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Prompts -> ids (n, L) on the CPU, L that of the longest prompt where the tower allows it.

        Raises:
            UserError: Prompts exceed the context length (they are named); nothing is ever cut off.
        """
        raise NotImplementedError

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each prompt is, special tokens included, however many the tower reads."""
        raise NotImplementedError

    def lengths(self, ids: Tensor) -> Tensor:
        """Ids (n, L) -> how many of them are not padding (n,), special tokens included."""
        raise NotImplementedError

    def trim(self, ids: Tensor) -> Tensor:
        """Drop the columns of ids (n, L) that are padding in all rows, where the tower allows it."""
        return ids[:, : int(self.lengths(ids).max())] if len(ids) else ids

    def token_embedding(self, ids: Tensor) -> Tensor:
        """Ids (n, L) -> the embeddings of the tokens alone (n, L, W), without positions."""
        raise NotImplementedError

    def forward_embeddings(self, embeddings: Tensor, ids: Tensor) -> Tensor:
        """Token embeddings -> vectors: what :meth:`forward` does behind :meth:`token_embedding`.

        Args:
            embeddings: (n, L, W), without positions.
            ids: (n, L); tell the padding and the end token, whatever else they are.

        Returns:
            (n, D), not normalised.

        Raises:
            UserError: This tower takes only tokens.
        """
        raise NotImplementedError

    def forward(self, ids: Tensor) -> Tensor:
        """Ids (n, L) -> vectors (n, D), not normalised."""
        return self.forward_embeddings(self.token_embedding(ids), ids)


class CLIPTextTower(TextTower):
    """The text tower of an open_clip model, OpenAI's among them.

    Behind a causal mask the padding after the end token changes nothing, so it is cut off: class prompts fill a sixth
    of the context. Towers of another kind (bidirectional ones, CoCa's, those of transformers) see all of it, and take
    tokens only.

    Args:
        model: The text tower of open_clip.
        tokenizer: Its tokenizer.
        embed_dims: D.
        context_length: The most tokens of a prompt.
        encoder_id: See :class:`TextTower`.
    """

    start_tokens = 1

    def __init__(
        self,
        model: nn.Module,
        tokenizer: 'SimpleTokenizer | HFTokenizer',
        *,
        embed_dims: int,
        context_length: int,
        encoder_id: str,
    ):
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.embed_dims = embed_dims
        self.context_length = context_length
        self.encoder_id = encoder_id
        masked = getattr(model, 'attn_mask', None) is not None and getattr(model, 'cls_emb', None) is None
        #: Whether the vector is read at the end token behind a causal mask.
        self.causal = masked and model.pool_type in ('argmax', 'eos')

    @property
    def token_width(self) -> int:
        """W."""
        return self._causal_model().token_embedding.embedding_dim

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Prompts -> ids (n, L), see :meth:`TextTower.tokenize`; a tower that sees it all has L = context length."""
        texts = list(texts)
        lengths = self.count_tokens(texts)
        check_lengths(texts, lengths, self.context_length, self.encoder_id)
        if not texts:
            return torch.zeros(0, self.context_length, dtype=torch.long)
        ids = self.tokenizer(texts)  # (n, context length)
        return ids[:, : max(lengths)] if self.causal else ids

    def lengths(self, ids: Tensor) -> Tensor:
        """Ids (n, L) -> (n,), see :meth:`TextTower.lengths`; L for a tower that sees it all."""
        if not self.causal:
            return torch.full((len(ids),), ids.shape[1])
        end = (ids == self.model.eos_id).int() if self.model.pool_type == 'eos' else ids  # CLIP's has the highest id
        return end.argmax(dim=1) + 1

    def token_embedding(self, ids: Tensor) -> Tensor:
        """Ids (n, L) -> (n, L, W)."""
        return self._causal_model().token_embedding(ids)

    def forward_embeddings(self, embeddings: Tensor, ids: Tensor) -> Tensor:
        """Embeddings (n, L, W) and ids (n, L) -> (n, D), read at the end token; see the base class."""
        from open_clip.transformer import text_global_pool  # here, as importing open_clip takes seconds

        model = self._causal_model()
        length = ids.shape[1]
        x = embeddings + model.positional_embedding[:length]  # (n, L, W)
        x = model.transformer(x, attn_mask=model.attn_mask[:length, :length])
        x = text_global_pool(model.ln_final(x), ids, model.pool_type, eos_token_id=model.eos_id)  # (n, W)
        if model.text_projection is None:
            return x
        return model.text_projection(x) if isinstance(model.text_projection, nn.Linear) else x @ model.text_projection

    def forward(self, ids: Tensor) -> Tensor:
        """Ids (n, L) -> (n, D)."""
        if self.causal:
            return super().forward(ids)
        output = self.model(ids)
        return output[0] if isinstance(output, tuple) else output  # towers of CoCa return their tokens too

    def _causal_model(self) -> nn.Module:
        if not self.causal:
            raise UserError(
                f'{self.encoder_id} cannot take token embeddings: its text tower does not read the end token behind a '
                "causal mask, as CLIP's does. Use a CLIP model whose text tower does, such as ViT-B-16."
            )
        return self.model

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of prompts as they would be without truncation."""
        from open_clip.tokenizer import SimpleTokenizer

        tokenizer = self.tokenizer
        if isinstance(tokenizer, SimpleTokenizer):
            return [len(tokenizer.encode(text)) + 2 for text in texts]
        cleaned = (tokenizer.clean_fn(text) for text in texts)
        return [len(tokenizer.tokenizer(text, truncation=False, verbose=False).input_ids) for text in cleaned]


class LanguageModelTower(TextTower):
    """A sentence-transformers model: transformer, pooling, and what the model has behind it (dense, normalisation).

    Ids of padding are -1, since some models have no padding token of their own.

    Args:
        model: The ``SentenceTransformer``; its first module wraps the transformer.
        embed_dims: D.
        encoder_id: See :class:`TextTower`.
    """

    def __init__(self, model: Any, *, embed_dims: int, encoder_id: str):
        super().__init__()
        self.model = model
        self.embed_dims = embed_dims
        self.context_length = model.max_seq_length or math.inf
        self.encoder_id = encoder_id
        #: A model may put a prompt of its own before each text.
        self.prefix = model.prompts.get(model.default_prompt_name) or ''
        tokens = model.tokenizer(self.prefix.rstrip())['input_ids']
        self.start_tokens = len(tokens) - (len(tokens) > 0 and tokens[-1] in model.tokenizer.all_special_ids)

    @property
    def token_width(self) -> int:
        """W."""
        return self._embedding.weight.shape[1]

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Prompts -> ids (n, L), -1 where padding is; see :meth:`TextTower.tokenize`."""
        texts = list(texts)
        if not texts:
            return torch.zeros(0, 0, dtype=torch.long)
        prompts = [self.prefix + text for text in texts]
        check_lengths(texts, self.count_tokens(texts), self.context_length, self.encoder_id)
        preprocess = getattr(self.model, 'preprocess', None) or self.model.tokenize  # the latter before version 6
        features = preprocess(prompts)
        return features['input_ids'].masked_fill(features['attention_mask'] == 0, -1)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each prompt, those of the model's own prompt before it among them."""
        prompts = [self.prefix + text for text in texts]
        tokens = self.model.tokenizer(prompts, truncation=False, verbose=False)['input_ids'] if prompts else []
        return [len(ids) for ids in tokens]

    def lengths(self, ids: Tensor) -> Tensor:
        """Ids (n, L) -> (n,), see :meth:`TextTower.lengths`; L where the padding comes first."""
        return torch.where(ids[:, 0] < 0, ids.shape[1], (ids >= 0).sum(dim=1))

    def token_embedding(self, ids: Tensor) -> Tensor:
        """Ids (n, L) -> (n, L, W)."""
        return self._embedding(self._padded(ids))

    def forward_embeddings(self, embeddings: Tensor, ids: Tensor) -> Tensor:
        """Embeddings (n, L, W) and ids (n, L) -> (n, D), pooled over what is not padding; see the base class."""
        return self._run(dict(inputs_embeds=embeddings), ids)

    def forward(self, ids: Tensor) -> Tensor:
        """Ids (n, L) -> (n, D)."""
        return self._run(dict(input_ids=self._padded(ids)), ids)

    def _run(self, features: dict[str, Any], ids: Tensor) -> Tensor:
        features = dict(features, attention_mask=(ids >= 0).long(), modality='text')
        if self.prefix:
            features['prompt_length'] = self.start_tokens  # some models pool over the text alone
        return self.model(features)['sentence_embedding']

    def _padded(self, ids: Tensor) -> Tensor:
        return ids.masked_fill(ids < 0, self.model.tokenizer.pad_token_id or 0)

    @property
    def _embedding(self) -> nn.Module:
        return self.model[0].auto_model.get_input_embeddings()


def encode_in_batches(tower: TextTower, texts: Sequence[str], *, batch_size: int, device: str) -> Tensor:
    """Encode prompts without gradient, prompts of like length together.

    Args:
        tower: The tower, in evaluation mode, on ``device``.
        texts: The n prompts.
        batch_size: Prompts a forward pass.
        device: Where the tower is.

    Returns:
        (n, D) float32 on the CPU, as the tower gives it.

    Raises:
        UserError: Prompts exceed the context length.
    """
    with isolated(device):
        ids = tower.tokenize(texts)  # (n, L)
        features = torch.empty(len(ids), tower.embed_dims)
        done = 0

        def encode(rows: Tensor) -> Tensor:
            nonlocal done
            encoded = tower(tower.trim(rows).to(device)).float().cpu()
            done += len(rows)
            tell_progress(done, len(ids))
            return encoded

        if len(ids):
            order = tower.lengths(ids).argsort(stable=True)
            features[order] = in_chunks(encode, ids[order], chunk_size=batch_size)
    return features
