"""The classifier bundle: a matrix of class embeddings and the record of where it came from, in one file."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as to_safetensors
from torch import Tensor
from torch.nn import functional

from textxfer_mm.classifiers.bundle_files import (
    FORMAT_VERSION,
    HASH_KEY,
    METADATA_KEY,
    TENSOR_KEY,
    digest_of,
    read_bundle_file,
    require_unaltered,
)
from textxfer_mm.errors import UserError
from textxfer_mm.files import replacing
from textxfer_mm.text.encoding import isolated
from textxfer_mm.text.glosses.table import Glosses

_NORM_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class ClassifierBundle:
    """A frozen classifier and its provenance.

    Attributes:
        weight: (K, D) float32 on the CPU, rows of unit norm.
        class_names: K names in the order of the rows.
        templates: The M templates the prompts were made from; empty where no prompts were used.
        encoder_id: What made the rows, e.g. ``'open_clip/ViT-B-16/openai'``.
        glosses: The glosses behind the names, a tuple of any length for each class; empty where there were none at all.

    Raises:
        UserError: The parts do not fit together.
    """

    weight: Tensor
    class_names: tuple[str, ...]
    templates: tuple[str, ...]
    encoder_id: str
    glosses: Glosses = ()

    def __post_init__(self):
        weight = self.weight
        if not isinstance(weight, Tensor) or weight.ndim != 2 or weight.dtype != torch.float32:
            described = f'{tuple(weight.shape)} {weight.dtype}' if isinstance(weight, Tensor) else type(weight).__name__
            raise UserError(f'A classifier is a float32 matrix (classes, width), got {described}.')
        with torch.inference_mode(False):  # the bundle owns its matrix, and training can use it
            object.__setattr__(self, 'weight', weight.detach().cpu().clone(memory_format=torch.contiguous_format))
        object.__setattr__(self, 'class_names', tuple(self.class_names))
        object.__setattr__(self, 'templates', tuple(self.templates))
        object.__setattr__(self, 'glosses', tuple(map(tuple, self.glosses)))
        if len(weight) != len(self.class_names) or not len(weight):
            raise UserError(f'A classifier of {len(weight)} rows cannot have {len(self.class_names)} class names.')
        if not all(isinstance(name, str) and name for name in (*self.class_names, *self.templates, self.encoder_id)):
            raise UserError('Class names, templates and encoder id of a classifier are non-empty strings.')
        if self.glosses and len(self.glosses) != len(self.class_names):
            raise UserError(
                f'A classifier of {len(self.class_names)} classes cannot have glosses of {len(self.glosses)}.'
            )
        if not all(isinstance(gloss, str) and gloss for own in self.glosses for gloss in own):
            raise UserError('The glosses of a classifier are non-empty strings.')
        norms = self.weight.norm(dim=1)
        wrong = ((norms - 1).abs() <= _NORM_TOLERANCE).logical_not().nonzero().flatten().tolist()  # catches NaN too
        if wrong:
            shown = ', '.join(f'{self.class_names[i]!r} ({norms[i]:.4g})' for i in wrong[:3])
            raise UserError(f'Rows of a classifier have norm 1; {len(wrong)} have not: {shown}.')

    @classmethod
    def from_rows(
        cls,
        rows: Tensor,
        *,
        class_names: Sequence[str],
        encoder_id: str,
        templates: Sequence[str] = (),
        glosses: Glosses = (),
    ) -> 'ClassifierBundle':
        """Make a bundle of rows (K, D) of any norm: they are brought to float32 and unit norm."""
        with isolated(rows.device):
            weight = functional.normalize(rows.detach().float(), dim=-1)
        return cls(weight, tuple(class_names), tuple(templates), encoder_id, glosses)

    @property
    def num_classes(self) -> int:
        """K."""
        return self.weight.shape[0]

    @property
    def embed_dims(self) -> int:
        """D."""
        return self.weight.shape[1]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of names, templates, encoder id, glosses and the bytes of the matrix."""
        return digest_of(self.weight.numpy(), self.metadata())

    def metadata(self) -> dict[str, Any]:
        """Return all but the matrix as what JSON can hold."""
        return dict(
            format_version=FORMAT_VERSION,
            class_names=list(self.class_names),
            templates=list(self.templates),
            encoder_id=self.encoder_id,
            glosses=[list(own) for own in self.glosses],
        )

    def save(self, path: str | Path) -> Path:
        """Write the bundle to a safetensors file, atomically, and return its path."""
        header = {METADATA_KEY: json.dumps(self.metadata()), HASH_KEY: self.fingerprint}
        path = Path(path).expanduser()
        with replacing(path) as part:
            part.write_bytes(to_safetensors({TENSOR_KEY: self.weight}, metadata=header))
        return path

    @classmethod
    def load(cls, path: str | Path) -> 'ClassifierBundle':
        """Read a bundle and verify its hash.

        Raises:
            UserError: The file is missing, is no classifier bundle, is of a newer format, or was altered.
        """
        path = Path(path).expanduser()
        weight, metadata, told = read_bundle_file(path)
        stated = {key: value for key, value in metadata.items() if key != 'format_version'}
        try:
            bundle = cls(weight=torch.from_numpy(weight), **stated)
        except (UserError, TypeError, AttributeError) as error:
            raise UserError(f'{path} is not a valid classifier: {error}') from error
        require_unaltered(weight, metadata, told, path)
        return bundle
