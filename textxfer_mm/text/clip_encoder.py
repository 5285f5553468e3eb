"""The text tower of CLIP as an encoder."""

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from textxfer_mm.errors import NotAtHandError, UserError, first_line
from textxfer_mm.text.clip_arch import load_pretrained_state, load_tower, resolve_arch, resolve_pretrained
from textxfer_mm.text.clip_files import text_tower_state
from textxfer_mm.text.digests import file_digest
from textxfer_mm.text.encoding import isolated, share_of_unknown
from textxfer_mm.text.hub import local_snapshot
from textxfer_mm.text.text_tower import CLIPTextTower, encode_in_batches

if TYPE_CHECKING:
    from open_clip.tokenizer import HFTokenizer, SimpleTokenizer

_TOKENIZER_FILES = ('*.json', '*.txt', '*.model')
_TOKENIZER_ONE_OF = ('tokenizer.json', '*.model', 'vocab.*')
_RANDOM_SEED = 0


class CLIPTextEncoder:
    """Encodes prompts with the text tower of any open_clip model.

    Only the text tower is built. Weights and tokenizer are loaded at the first :meth:`encode`.

    Args:
        arch: The name of an open_clip model, or a model config (see ``resolve_arch``).
        pretrained: A tag of open_clip, a local file (see ``read_clip_state_dict``), or None for a seeded random
            initialisation, which is equal on all ranks and in all runs.
        batch_size: Number of prompts per forward pass.
        device: Where the tower runs.

    Raises:
        UserError: The architecture, the tag or the file is unknown.
    """

    def __init__(
        self,
        arch: str | dict[str, Any],
        pretrained: str | os.PathLike | None = None,
        *,
        batch_size: int = 256,
        device: str = 'cpu',
    ):
        self.arch, self._config = resolve_arch(arch)
        self.pretrained = resolve_pretrained(arch, pretrained)
        if batch_size < 1:
            raise UserError(f'`batch_size` is at least 1, got {batch_size}.')
        self.batch_size = batch_size
        self.device = device
        self._tower: CLIPTextTower | None = None

    @property
    def embed_dims(self) -> int:
        """The width D of the joint space."""
        text_cfg = self._config['text_cfg']
        return text_cfg['width'] if text_cfg.get('proj_type') == 'none' else self._config['embed_dim']

    @property
    def model_config(self) -> dict[str, Any]:
        """The model config of open_clip, both towers of it."""
        return dict(self._config)

    @property
    def context_length(self) -> int:
        """The maximum number of tokens in a prompt, including the start and end tokens."""
        from open_clip.tokenizer import DEFAULT_CONTEXT_LENGTH  # here, as importing open_clip takes seconds

        return self._config['text_cfg'].get('context_length', DEFAULT_CONTEXT_LENGTH)

    @property
    def token_width(self) -> int:
        """The width W of the token embeddings.

        Raises:
            UserError: The text tower comes from transformers and takes only tokens.
        """
        text_cfg = self._config['text_cfg']
        if text_cfg.get('hf_model_name'):
            raise UserError(f'{self.encoder_id} cannot take token embeddings: its text tower is one of transformers.')
        from open_clip.model import CLIPTextCfg

        return text_cfg.get('width', CLIPTextCfg.width)

    @property
    def encoder_id(self) -> str:
        """E.g. ``'open_clip/ViT-B-16/openai'``; a local file goes by its name, random weights by ``random``."""
        weights = self.pretrained.name if isinstance(self.pretrained, Path) else self.pretrained or 'random'
        return f'open_clip/{self.arch}/{weights}'

    def fingerprint(self) -> str:
        """Identify architecture and weights: the tag, or the hash of the local file."""
        if isinstance(self.pretrained, Path):
            return f'{self.encoder_id}/sha256:{file_digest(self.pretrained)}'
        return self.encoder_id

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Encode prompts.

        Args:
            texts: The prompts.

        Returns:
            (n, D) float32 on the CPU, not normalised.

        Raises:
            UserError: Prompts exceed the context length (they are named), or the weights cannot be obtained.
        """
        return encode_in_batches(self._loaded(), texts, batch_size=self.batch_size, device=self.device)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each prompt is, start and end tokens included.

        Raises:
            UserError: Tokenizer or weights cannot be obtained.
        """
        return self._loaded().count_tokens(texts)

    def _loaded(self) -> CLIPTextTower:
        if self._tower is None:
            self._tower = self.tower().requires_grad_(False).to(self.device)
        return self._tower

    def unknown(self, texts: Sequence[str]) -> list[float]:
        """The share of the tokens of each text that stand for what the tokenizer does not know.

        CLIP's own tokenizer falls back to bytes, so that nothing is unknown to it.

        Raises:
            UserError: The tokenizer cannot be obtained.
        """
        if not self._config['text_cfg'].get('hf_tokenizer_name'):
            return [0.0] * len(texts)
        tokenizer = self._tokenizer.tokenizer
        special = [token for token in tokenizer.all_special_ids if token != tokenizer.unk_token_id]
        special += [token for token in (tokenizer.eos_token_id, tokenizer.pad_token_id) if token is not None]
        ids = tokenizer([self._tokenizer.clean_fn(text) for text in texts], truncation=False, verbose=False).input_ids
        return share_of_unknown(ids, tokenizer.unk_token_id, special)

    def tower(self) -> CLIPTextTower:
        """Load a separate tower, for gradients through the text side.

        Returns:
            The module with the pretrained weights in float32, trainable, in evaluation mode, on the CPU.

        Raises:
            UserError: The weights or the tokenizer cannot be obtained.
        """
        tokenizer = self._tokenizer
        with isolated():
            return CLIPTextTower(
                self._load_model(),
                tokenizer,
                embed_dims=self.embed_dims,
                context_length=self.context_length,
                encoder_id=self.encoder_id,
            ).eval()

    def draw(self, tower: CLIPTextTower) -> None:
        """Draw the weights of a tower anew from torch's random state, unless they are pretrained.

        Args:
            tower: What :meth:`tower` returned.
        """
        if self.pretrained is None:
            tower.model.load_state_dict(self._build_tower().float().state_dict())

    def release(self) -> None:
        """Free weights and tokenizer; the next :meth:`encode` loads them again."""
        self._tower = None
        self.__dict__.pop('_tokenizer', None)

    @cached_property
    def _tokenizer(self) -> 'SimpleTokenizer | HFTokenizer':
        from open_clip.tokenizer import HFTokenizer, SimpleTokenizer

        text_cfg = self._config['text_cfg']
        options = text_cfg.get('tokenizer_kwargs') or {}
        name = text_cfg.get('hf_tokenizer_name')
        if not name:
            return SimpleTokenizer(context_length=self.context_length, **options)
        _require_transformers(self.arch)
        purpose = f'The tokenizer of {self.arch}'
        folder = local_snapshot(name, files=_TOKENIZER_FILES, one_of=_TOKENIZER_ONE_OF, purpose=purpose)
        mode = text_cfg.get('tokenizer_mode')
        return HFTokenizer(str(folder), context_length=self.context_length, tokenizer_mode=mode, **options)

    def _load_model(self) -> nn.Module:
        """Build open_clip's module and fill it; runs inside :func:`isolated`, so the seed stays local."""
        state = load_pretrained_state(self._arch_argument, self.pretrained)
        torch.default_generator.manual_seed(_RANDOM_SEED)  # torch.manual_seed would reseed the GPUs as well
        tower = self._build_tower().float()
        if state is not None:
            source = str(self.pretrained)
            weights = text_tower_state(state, source)
            if 'transformer.embeddings.position_ids' not in tower.state_dict():
                weights.pop('transformer.embeddings.position_ids', None)  # a buffer that transformers gave up
            load_tower(tower, weights, arch=self.arch, source=source)
        return tower

    @property
    def _arch_argument(self) -> str | dict[str, Any]:
        return self._config if self.arch.startswith('custom-') else self.arch

    def _build_tower(self) -> nn.Module:
        from open_clip.model import _build_text_tower

        text_cfg = dict(self._config['text_cfg'])
        if name := text_cfg.get('hf_model_name'):
            _require_transformers(self.arch)
            purpose = f'The configuration of the text tower of {self.arch}'
            text_cfg['hf_model_name'] = str(local_snapshot(name, files=(), one_of=('config.json',), purpose=purpose))
            text_cfg['hf_model_pretrained'] = False
        try:
            return _build_text_tower(self._config['embed_dim'], text_cfg, self._config.get('quick_gelu', False))
        except Exception as error:  # whatever its parts make of a value that is none
            raise UserError(f'The `text_cfg` of {self.arch} is not one of open_clip: {first_line(error)}.') from error


def _require_transformers(arch: str) -> None:
    try:
        import transformers  # noqa: F401
    except ImportError as error:
        raise NotAtHandError(
            f'The text side of {arch} needs transformers: pip install "textxfer_mm[language]".'
        ) from error
