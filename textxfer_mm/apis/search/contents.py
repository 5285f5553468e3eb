"""What an index holds: the moments of all its shards, of which those count that no newer shard has anew."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from textxfer_mm.apis.search.shards import IndexedFile, Shard


class Contents:
    """What an index holds at a moment in time.

    Args:
        shards: Its files of moments by path, oldest first.

    Attributes:
        files: Each file once.
        vectors: The embeddings of all shards, (n, D) each.
        owner: For each row of all shards the number of its file (N,), or -1 where a newer shard has that file.
        starts: Where the moments begin (N,), in seconds.
        ends: Where they end (N,), in seconds.
        live: The numbers of the files of each shard that count.
    """

    def __init__(self, shards: Mapping[Path, Shard]) -> None:
        self.shards = dict(shards)
        newest = {file.path: path for path, shard in self.shards.items() for file in shard.files}
        self.files: list[IndexedFile] = []
        self.live: dict[Path, list[int]] = {}
        owners = []
        for path, shard in self.shards.items():
            own = [n for n, file in enumerate(shard.files) if newest[file.path] == path]
            numbers = np.full(len(shard.files), -1)
            numbers[own] = len(self.files) + np.arange(len(own))
            owners.append(np.repeat(numbers, [file.moments for file in shard.files]))
            self.files += [shard.files[n] for n in own]
            self.live[path] = own
        filled = [shard for shard in self.shards.values() if len(shard)]
        self.vectors: list[Tensor] = [shard.vectors for shard in filled]
        self.owner = _joined(owners).astype(np.int64)
        self.starts = _joined([shard.starts for shard in filled])
        self.ends = _joined([shard.ends for shard in filled])

    @property
    def moments(self) -> int:
        """How many moments count."""
        return sum(file.moments for file in self.files)

    @property
    def skipped(self) -> dict[str, str]:
        """Reasons by name of the files that could not be decoded."""
        return {file.name: file.reason for file in self.files if file.reason}


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(0)
