"""Features of some videos in safetensors files, with what made them: nobody who reads them needs the videos.

The files hold what a head compares with its class rows, from which any protocol is computed (``textxfer evaluate
--features``), or what a backbone gives, on which necks and heads are trained (``textxfer features``).
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from textxfer_mm.errors import UserError
from textxfer_mm.files import replacing

_METADATA_KEY = 'textxfer_mm.feature_banks'
FORMAT_VERSION = 1
#: The key of the bank of a file that holds one.
ONLY = 'features'


@dataclass(frozen=True, eq=False)
class FeatureBank:
    """Features of n videos.

    Attributes:
        features: Float32 on the CPU, finite. (n, V, D) as the head compares them with its class rows: pooled and
            projected, not normalised; of a head without class rows its logits, (n, V, K). Or A copies of what the
            backbone gives: (n, A, V, D, T, H, W), of a 2-D recognizer (n, A, V * T, D, H, W).
        labels: (n,) int64, or (n, L) uint8 of zeros and ones for several labels a video.
        names: n names of videos.
        weights: Digest of the weights that made the features.
        pipeline: Digest of how videos become inputs.
        skipped: Reasons by name of the videos that could not be decoded and are left out.
        digests: SHA-256 of each video, or none of any.
        about: What else is known of them; what JSON can hold.

    Raises:
        UserError: The parts do not fit together.
    """

    features: Tensor
    labels: Tensor
    names: tuple[str, ...]
    weights: str
    pipeline: str
    skipped: Mapping[str, str] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    digests: tuple[str, ...] = ()

    def __post_init__(self):
        features, labels = self.features, self.labels
        if features.ndim < 3 or 0 in features.shape[1:] or not features.is_floating_point():
            raise UserError(
                f'A feature bank holds floating-point features (videos, views, width), got {tuple(features.shape)} '
                f'{features.dtype}.'
            )
        if (
            labels.ndim not in (1, 2)
            or labels.is_floating_point()
            or not len(features) == len(labels) == len(self.names)
        ):
            raise UserError(
                f'Features of {len(features)} videos cannot have labels of shape {tuple(labels.shape)} {labels.dtype} '
                f'and {len(self.names)} names.'
            )
        kind = torch.int64 if labels.ndim == 1 else torch.uint8
        object.__setattr__(self, 'features', features.detach().to('cpu', torch.float32).contiguous())
        object.__setattr__(self, 'labels', labels.to('cpu', kind).contiguous())
        object.__setattr__(self, 'names', tuple(self.names))
        object.__setattr__(self, 'digests', tuple(self.digests))
        broken = self.features.isfinite().flatten(1).all(1).logical_not().nonzero().flatten().tolist()
        if broken:
            raise UserError(
                f'The features of {len(broken)} of {len(labels)} videos are not finite (NaN or infinite), such as '
                f'those of {self.names[broken[0]]}.'
            )

    def require_made_by(self, weights: str, pipeline: str, file: str | Path) -> None:
        """Check that a model and a pipeline would make these features.

        Args:
            weights: Digest of the model's weights.
            pipeline: Digest of its pipeline.
            file: Where the bank lies, for the message.

        Raises:
            UserError: Another model or another pipeline made them.
        """
        origin = f'{self.about.get("config", "config unknown")}, {self.about.get("checkpoint") or "no checkpoint"}'
        for what, has, wanted in (('model', self.weights, weights), ('pipeline', self.pipeline, pipeline)):
            if has != wanted:
                raise UserError(
                    f'The features in {file} were made by another {what} (digest {has[:12]}, here {wanted[:12]}; '
                    f'{origin}). Give the file of this one, or a new name to encode the videos anew.'
                )

    def save(self, path: str | Path) -> Path:
        """Write it as the only bank of a file."""
        return save_banks(path, {ONLY: self})

    def _metadata(self) -> dict[str, Any]:
        """All but the tensors."""
        made_by = dict(weights=self.weights, pipeline=self.pipeline)
        digests = dict(digests=list(self.digests)) if self.digests else {}
        return dict(names=list(self.names), skipped=dict(self.skipped), about=dict(self.about), **made_by, **digests)


def save_banks(path: str | Path, banks: Mapping[str, FeatureBank]) -> Path:
    """Write banks by name to one safetensors file, atomically, and return its path."""
    path = Path(path).expanduser()
    entries = list(banks.items())
    tensors = {}
    for number, (_, bank) in enumerate(entries):
        tensors[f'{number}.features'] = bank.features
        tensors[f'{number}.labels'] = bank.labels.clone()  # banks may share them
    header = dict(format_version=FORMAT_VERSION, banks=[dict(key=key, **bank._metadata()) for key, bank in entries])
    with replacing(path) as part:
        save_file(tensors, part, metadata={_METADATA_KEY: json.dumps(header)})
    return path


def load_banks(path: str | Path) -> dict[str, FeatureBank]:
    """Read what :func:`save_banks` wrote.

    Raises:
        UserError: There is no such file, it is none of these, of another format, or damaged.
    """
    banks = {}
    with _opened(path) as (file, entries):
        for number, entry in enumerate(entries):
            tensors = {name: file.get_tensor(f'{number}.{name}') for name in ('features', 'labels')}
            key = entry.pop('key')
            banks[key] = FeatureBank(**tensors, **{**entry, 'names': tuple(entry['names'])})
    return banks


class BankFile:
    """The only bank of a file, whose features stay there until they are asked for.

    Args:
        path: A file of :meth:`FeatureBank.save`.

    Attributes:
        labels: As in :class:`FeatureBank`, like all below.
        names: Of the videos.
        weights: Digest of the weights.
        pipeline: Digest of the pipeline.
        skipped: Reasons by name.
        digests: Of the videos.
        shape: Shape of the features, (n, ...).

    Raises:
        UserError: See :func:`load_banks`; or there are other banks in the file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file: Any = None
        with _opened(path) as (file, entries):
            if [entry['key'] for entry in entries] != [ONLY]:
                raise UserError(f'{path} holds the features of `textxfer evaluate`, not those of `textxfer features`.')
            self.labels: Tensor = file.get_tensor('0.labels')
            self.shape: tuple[int, ...] = tuple(file.get_slice('0.features').get_shape())
            about = entries[0]
            self.names, self.skipped = tuple(about['names']), dict(about['skipped'])
            self.weights, self.pipeline = str(about['weights']), str(about['pipeline'])
            self.digests = tuple(about.get('digests', ()))
            if not len(self.names) == len(self.labels) == self.shape[0]:
                raise ValueError(f'{len(self.names)} names, {len(self.labels)} labels, {self.shape[0]} features')

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), '_file': None}  # every process maps the file itself

    def read(self, row: int, column: int) -> Tensor:
        """One copy of one video, or one view: what lies at (row, column)."""
        if self._file is None:
            self._file = safe_open(self.path, framework='pt', device='cpu')
        return self._file.get_slice('0.features')[row, column]


@contextmanager
def _opened(path: str | Path) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    """An open file and what its header says of each bank; what goes wrong within becomes one line."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise UserError(f'File of features not found: {path}. `textxfer evaluate --features {path}` writes one.')
    try:
        with safe_open(path, framework='pt', device='cpu') as file:
            header = json.loads((file.metadata() or {}).get(_METADATA_KEY, 'null'))
            if header is None:
                raise UserError(
                    f'{path} is a safetensors file, but none of the features of every view that `textxfer evaluate '
                    '--features FILE` writes.'
                )
            if header['format_version'] != FORMAT_VERSION:
                raise UserError(f'{path} has format version {header["format_version"]}, known is {FORMAT_VERSION}.')
            yield file, header['banks']
    except UserError:
        raise
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f'{path} is no file of features, or it is damaged ({error}). Encode the videos anew.'
        ) from error
