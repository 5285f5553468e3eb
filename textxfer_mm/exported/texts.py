"""An exported text encoder at run time: class names in, class rows out, without PyTorch."""

import html
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from textxfer_mm.errors import NotAtHandError, UserError, first_few, first_line, shown
from textxfer_mm.exported.description import TextDescription, unpack
from textxfer_mm.exported.rows import NamedRows
from textxfer_mm.exported.sessions import open_session
from textxfer_mm.text.templates import fill

#: Prompts of a run of the network.
_BATCH = 256


def clean_as_clip(text: str) -> str:
    """What CLIP's tokenizer makes of a text before it reads it: repaired, unescaped, in lower case.

    Raises:
        UserError: The package ftfy is missing (``NotAtHandError``).
    """
    try:
        import ftfy
    except ImportError as error:
        raise NotAtHandError('The text encoder needs ftfy: pip install "textxfer_mm[onnx]".') from error
    return ' '.join(html.unescape(html.unescape(ftfy.fix_text(text))).split()).lower()


#: By the name in a file.
CLEANING: Mapping[str, Callable[[str], str]] = dict(clip=clean_as_clip, none=str)


class ExportedTextEncoder:
    """A text encoder of ``textxfer export --text-encoder``, ready to run.

    Args:
        path: The file, ``.onnx`` or ``.pt2``.
        device: Where it runs; None takes the CPU.

    Attributes:
        description: What the file says of itself.

    Raises:
        UserError: The file is missing, of another kind or damaged, or what runs it is missing (``NotAtHandError``).
    """

    def __init__(self, path: str | Path, device: str | None = None) -> None:
        self._session = open_session(path, device)
        described, _ = unpack(self._session.metadata, str(path))
        if not isinstance(described, TextDescription):
            raise UserError(f'{shown(path)} is an exported model, not a text encoder: give it as --model.')
        self.description = described
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise NotAtHandError(f'{shown(path)} needs tokenizers: pip install "textxfer_mm[onnx]".') from error
        try:
            self._tokenizer = Tokenizer.from_str(described.tokenizer)
        except Exception as error:  # tokenizers raises nothing more specific
            raise UserError(f'The tokenizer of {shown(path)} cannot be read: {first_line(error)}') from error

    def tokenize(self, texts: Sequence[str]) -> np.ndarray:
        """Prompts -> token ids (n, L), int64.

        Raises:
            UserError: Prompts are longer than the encoder reads; they are named.
        """
        described, clean = self.description, CLEANING[self.description.cleaning]
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch([clean(text) for text in texts])]
        long = [text for text, row in zip(texts, ids, strict=True) if len(row) > described.context_length]
        if long:
            raise UserError(
                f'{described.encoder_id} reads at most {described.context_length} tokens; longer prompts: '
                f'{first_few(long)}. Shorten them.'
            )
        length = described.pad_to or max(map(len, ids))
        return np.array([row + [described.pad_id] * (length - len(row)) for row in ids], np.int64)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Prompts -> embeddings (n, D), not normalised."""
        batches = (texts[start : start + _BATCH] for start in range(0, len(texts), _BATCH))
        return np.concatenate([self._session(self.tokenize(batch)) for batch in batches])

    def rows(self, names: Sequence[str], templates: Sequence[str] | None = None) -> NamedRows:
        """Class rows of class names, by the recipe of ``TextClassifier``.

        Args:
            names: K names.
            templates: M templates; None takes those of the classifier that was exported.
        """
        prompts = fill(templates or self.description.templates, names)
        found = self.encode([prompt for of_template in prompts for prompt in of_template])
        found = _normalised(found).reshape(len(prompts), len(names), -1).mean(axis=0)  # (M, K, D) -> (K, D)
        return NamedRows(tuple(names), _normalised(found).astype(np.float32), self.description.encoder_id)


def _normalised(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True).clip(1e-12)
