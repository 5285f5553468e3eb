"""The packaged sentence encoder, all-MiniLM-L6-v2, in plain PyTorch.

transformers and sentence-transformers take seconds to import, which is most of what a prediction with the packaged
model would take. A BERT of six layers needs neither; it gives the same numbers, bit by bit.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from textxfer_mm.errors import UserError
from textxfer_mm.text.encoding import check_lengths
from textxfer_mm.text.text_tower import TextTower

WIDTH = 384
_LAYERS, _HEADS, _HIDDEN = 6, 12, 1536
_VOCABULARY, _POSITIONS, _TYPES = 30522, 512, 2
_EPS, _DROPOUT = 1e-12, 0.1
#: What the sentence encoder reads; without its own way of pooling it is a plain BERT, which has more positions.
_CONTEXT_LENGTH = 256

#: From the names in the file to those of the modules here.
_RENAMED = (
    (r'^embeddings\.LayerNorm', 'embedding_norm'),
    (r'^embeddings\.(word|position|token_type)_embeddings', r'\1_embedding'),
    (r'^encoder\.layer\.', 'layers.'),
    (r'attention\.self\.', ''),
    (r'attention\.output\.dense', 'mix'),
    (r'attention\.output\.LayerNorm', 'mix_norm'),
    (r'intermediate\.dense', 'expand'),
    (r'output\.dense', 'contract'),
    (r'output\.LayerNorm', 'contract_norm'),
)
_UNUSED = ('pooler.', 'embeddings.position_ids')


class _Layer(nn.Module):
    """A post-norm block of BERT."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.mix = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.mix_norm, self.contract_norm = (nn.LayerNorm(WIDTH, eps=_EPS) for _ in range(2))
        self.expand, self.contract = nn.Linear(WIDTH, _HIDDEN), nn.Linear(_HIDDEN, WIDTH)
        self.dropout = nn.Dropout(_DROPOUT)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Mix the tokens (n, L, D) of each text; ``mask`` (n, 1, 1, L) tells which are no padding."""
        q, k, v = (
            layer(x).unflatten(-1, (_HEADS, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )  # (n, heads, L, D / heads)
        dropped = _DROPOUT if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropped)
        mixed = self.mix(mixed.transpose(1, 2).flatten(2))  # (n, L, D)
        x = self.mix_norm(self.dropout(mixed) + x)
        return self.contract_norm(self.dropout(self.contract(functional.gelu(self.expand(x)))) + x)


class MiniLMTower(TextTower):
    """all-MiniLM-L6-v2: a BERT, pooling over the tokens and, in its own way of pooling, normalisation.

    Ids of padding are -1, as in :class:`~textxfer_mm.text.text_tower.LanguageModelTower`.

    Args:
        folder: The folder of the model: ``tokenizer.json`` and ``model.safetensors``.
        pooling: ``'auto'`` (mean, then normalised), ``'mean'`` or ``'cls'``.
        encoder_id: See :class:`~textxfer_mm.text.text_tower.TextTower`.

    Raises:
        UserError: The package ``tokenizers`` is missing.
    """

    embed_dims = token_width = WIDTH
    start_tokens = 1

    def __init__(self, folder: Path, *, pooling: str, encoder_id: str) -> None:
        super().__init__()
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise UserError(
                'The packaged language model needs tokenizers: pip install "textxfer_mm[offline]".'
            ) from error
        self.pooling = pooling
        self.context_length = _CONTEXT_LENGTH if pooling == 'auto' else _POSITIONS
        self.encoder_id = encoder_id
        self.tokenizer = Tokenizer.from_file(str(folder / 'tokenizer.json'))
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        # From an empty tensor, since drawing millions of weights that the file replaces takes as long as running it.
        words = torch.empty(_VOCABULARY, WIDTH)
        self.word_embedding = nn.Embedding.from_pretrained(words, freeze=False, padding_idx=0)
        self.position_embedding = nn.Embedding(_POSITIONS, WIDTH)
        self.token_type_embedding = nn.Embedding(_TYPES, WIDTH)
        self.embedding_norm = nn.LayerNorm(WIDTH, eps=_EPS)
        self.dropout = nn.Dropout(_DROPOUT)
        self.layers = nn.ModuleList(_Layer() for _ in range(_LAYERS))
        state = load_file(folder / 'model.safetensors')
        state = {_renamed(name): weight for name, weight in state.items() if not name.startswith(_UNUSED)}
        self.load_state_dict(state)

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Prompts -> ids (n, L), -1 where padding is; see the base class."""
        texts = list(texts)
        rows = [torch.tensor(encoding.ids) for encoding in self.tokenizer.encode_batch(texts)]
        check_lengths(texts, [len(row) for row in rows], self.context_length, self.encoder_id)
        if not rows:
            return torch.zeros(0, 0, dtype=torch.long)
        return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)

    def lengths(self, ids: Tensor) -> Tensor:
        """Ids (n, L) -> (n,), see the base class."""
        return (ids >= 0).sum(dim=1)

    def token_embedding(self, ids: Tensor) -> Tensor:
        """Ids (n, L) -> (n, L, W)."""
        return self.word_embedding(ids.clamp(min=0))

    def forward_embeddings(self, embeddings: Tensor, ids: Tensor) -> Tensor:
        """Embeddings (n, L, W) and ids (n, L) -> (n, D), pooled over what is not padding; see the base class."""
        known = ids >= 0  # (n, L)
        x = embeddings + self.token_type_embedding.weight[0] + self.position_embedding.weight[: ids.shape[1]]
        x = self.dropout(self.embedding_norm(x))  # (n, L, D)
        mask = None if known.all() else known[:, None, None]  # (n, 1, 1, L)
        for layer in self.layers:
            x = layer(x, mask)
        if self.pooling == 'cls':
            return x[:, 0]
        weight = known[..., None].to(x.dtype)  # (n, L, 1)
        mean = (x * weight).sum(dim=1) / weight.sum(dim=1)
        return functional.normalize(mean, dim=1) if self.pooling == 'auto' else mean


def _renamed(name: str) -> str:
    for pattern, replacement in _RENAMED:
        name = re.sub(pattern, replacement, name)
    return name
