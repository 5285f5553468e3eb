"""Features of labelled videos in one safetensors file: what ``tools/extract_features.py`` writes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from textxfer_mm.errors import NotAtHandError, UserError
from textxfer_mm.files import replacing

_METADATA_KEY = 'textxfer_mm.features'
_NEEDED = ('features', 'labels')


@dataclass(frozen=True, eq=False)
class LabelledFeatures:
    """One feature a video.

    Attributes:
        features: (n, D) float32 on the CPU, finite, not normalised.
        labels: (n,) int64.
        metadata: Where they come from; what JSON can hold.

    Raises:
        UserError: The parts do not fit together.
    """

    features: Tensor
    labels: Tensor
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        features, labels = self.features, self.labels
        if features.ndim != 2 or not features.is_floating_point() or labels.dtype not in (torch.int64, torch.int32):
            raise UserError(
                'Features are floating-point rows (videos, width) and labels whole numbers (videos,), got '
                f'{tuple(features.shape)} {features.dtype} and {tuple(labels.shape)} {labels.dtype}.'
            )
        if labels.shape != features.shape[:1] or not features.numel():
            raise UserError(f'{tuple(features.shape)} features cannot have {tuple(labels.shape)} labels.')
        object.__setattr__(self, 'features', features.detach().to('cpu', torch.float32).contiguous())
        object.__setattr__(self, 'labels', labels.to('cpu', torch.int64).contiguous())
        broken = self.features.isfinite().all(dim=1).logical_not().sum().item()
        if broken:
            raise UserError(f'The features of {broken} of {len(labels)} videos are not finite (NaN or infinite).')

    def save(self, path: str | Path) -> Path:
        """Write the file, atomically, and return its path."""
        path = Path(path).expanduser()
        with replacing(path) as part:
            header = {_METADATA_KEY: json.dumps(dict(self.metadata))}
            save_file(dict(features=self.features, labels=self.labels), part, metadata=header)
        return path

    @classmethod
    def load(cls, path: str | Path) -> 'LabelledFeatures':
        """Read a file; one that other tools wrote needs the tensors ``features`` and ``labels`` only.

        Raises:
            UserError: The file is missing (``NotAtHandError``), is no file of features, or holds what does not fit.
        """
        with _opened(path) as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in _NEEDED}
        try:
            return cls(**tensors, metadata=json.loads(header.get(_METADATA_KEY, '{}')))
        except (UserError, TypeError, json.JSONDecodeError) as error:
            raise UserError(f'{path} cannot be used: {error}') from error


def width_of_features(path: str | Path) -> int:
    """Return D of a file of features; the tensors are not read.

    Raises:
        UserError: The file is missing (``NotAtHandError``) or is no file of features.
    """
    with _opened(path) as file:
        shape = file.get_slice('features').get_shape()
    return shape[-1] if len(shape) == 2 else 0


def _opened(path: str | Path) -> Any:
    """Open the file and check that the tensors are there."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise NotAtHandError(
            f'Features file not found: {path}. Make it with: python tools/extract_features.py CONFIG {path}'
        )
    try:
        file = safe_open(path, framework='pt', device='cpu')
        missing = sorted(set(_NEEDED) - set(file.keys()))
    except (SafetensorError, OSError) as error:
        raise UserError(
            f'{path} is no file of features: not readable as safetensors ({error}). Make it again with: '
            f'python tools/extract_features.py CONFIG {path}'
        ) from error
    if missing:
        raise UserError(
            f'{path} is a safetensors file without the tensor(s) {", ".join(missing)}, which features of labelled '
            'videos have.'
        )
    return file
