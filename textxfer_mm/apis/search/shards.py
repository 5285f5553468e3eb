"""Files of moments: each is written whole and says all of itself, so that none depends on another."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from textxfer_mm.errors import UserError
from textxfer_mm.files import replacing

FORMAT_VERSION = 1
_METADATA_KEY = 'textxfer_mm.moments'


@dataclass(frozen=True, slots=True)
class IndexedFile:
    """What an index knows of a file.

    Attributes:
        path: Its absolute path.
        name: What to call it in short.
        size: Its bytes.
        changed: When it was last changed, in nanoseconds.
        digest: SHA-256 of its content.
        moments: How many moments it has.
        reason: Why it has none; empty otherwise.
    """

    path: str
    name: str
    size: int
    changed: int
    digest: str
    moments: int
    reason: str = ''


@dataclass(frozen=True, eq=False)
class Shard:
    """Moments of some files, one file after the other.

    Attributes:
        files: The files.
        vectors: Embeddings (n, D) of unit norm, float32; those of a file that was read stay there until they are used.
        starts: Where the moments begin (n,), in seconds.
        ends: Where they end (n,), in seconds.
    """

    files: tuple[IndexedFile, ...]
    vectors: Tensor
    starts: np.ndarray
    ends: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def borders(self) -> np.ndarray:
        """Where the moments of each file begin, and the last ones end (files + 1,)."""
        return np.cumsum([0, *(file.moments for file in self.files)])

    def only(self, wanted: Sequence[int]) -> 'Shard':
        """A shard of some of its files, by number."""
        borders = self.borders
        rows = [np.arange(borders[n], borders[n + 1]) for n in wanted]
        chosen = np.concatenate(rows) if rows else np.zeros(0, int)
        files = tuple(self.files[n] for n in wanted)
        return Shard(files, self.vectors[torch.from_numpy(chosen)], self.starts[chosen], self.ends[chosen])

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""
        header = dict(format_version=FORMAT_VERSION, files=[asdict(file) for file in self.files])
        tensors = dict(
            vectors=self.vectors.contiguous(),
            starts=torch.from_numpy(np.ascontiguousarray(self.starts, float)),
            ends=torch.from_numpy(np.ascontiguousarray(self.ends, float)),
        )
        with replacing(path) as part:
            save_file(tensors, part, metadata={_METADATA_KEY: json.dumps(header)})

    @classmethod
    def load(cls, path: Path) -> 'Shard':
        """Read one; its vectors are mapped, not copied.

        Raises:
            FileNotFoundError: It is not there (any more).
            UserError: It is damaged, or none of these files.
        """
        try:
            with safe_open(path, framework='pt', device='cpu') as file:
                header = json.loads((file.metadata() or {})[_METADATA_KEY])
                if header['format_version'] != FORMAT_VERSION:
                    raise ValueError(f'format version {header["format_version"]}, known is {FORMAT_VERSION}')
                files = tuple(IndexedFile(**entry) for entry in header['files'])
                parts: dict[str, Any] = {name: file.get_tensor(name) for name in ('vectors', 'starts', 'ends')}
            made = cls(files, parts['vectors'], parts['starts'].numpy(), parts['ends'].numpy())
            if not made.borders[-1] == len(made.vectors) == len(made.starts) == len(made.ends):
                raise ValueError(f'{made.borders[-1]} moments, {len(made.vectors)} vectors')
            return made
        except FileNotFoundError:
            raise
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise UserError(
                f'{path} is damaged, or no file of an index ({error}): remove it, and its videos are indexed anew.'
            ) from error


def joined(shards: Sequence[Shard]) -> Shard:
    """One shard of the files of several that have moments of one width, or none."""
    filled = [shard for shard in shards if len(shard)] or list(shards[:1])
    return Shard(
        tuple(file for shard in shards for file in shard.files),
        torch.cat([shard.vectors for shard in filled]),
        np.concatenate([shard.starts for shard in filled]),
        np.concatenate([shard.ends for shard in filled]),
    )
