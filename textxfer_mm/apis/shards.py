"""Scores in shards that are written whole, so that many processes share them and each can be ended at any time.

Nothing is gathered and no process waits for another: of the shards that are not there, each takes those of its rank.
Light: no torch here.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from textxfer_mm.apis.predictions import Result
from textxfer_mm.apis.score_records import LINES_SUFFIX, line_of
from textxfer_mm.engine.ranks import count_array, number_of
from textxfer_mm.errors import UserError, first_few, shown
from textxfer_mm.files import replacing, require_writable_folder, write_text

#: Files in a shard.
SHARD_SIZE = 1000
#: What the shards are of.
RECORD = 'shards.json'
#: The variables that say which of how many processes this is: of torchrun, and of Slurm's srun.
_LAUNCHERS = (('RANK', 'WORLD_SIZE', 'LOCAL_RANK'), ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'))
_ARRAY = ('SLURM_ARRAY_TASK_ID', 'SLURM_ARRAY_TASK_COUNT')


@dataclass(frozen=True)
class Place:
    """Which of several processes this is.

    Attributes:
        rank: From 0 on.
        world_size: How many there are.
        local_rank: Which of those of this machine.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0


def place_of_process(environment: Mapping[str, str] = os.environ) -> Place:
    """Which of several processes this is, as torchrun or Slurm say; an array of jobs multiplies the processes of each.

    Raises:
        UserError: What they say is no number, or there are fewer processes than that.
    """
    place = Place()
    for rank, world_size, local_rank in _LAUNCHERS:
        if rank in environment and world_size in environment:
            numbers = [number_of(environment, name) for name in (rank, world_size)]
            place = Place(*numbers, number_of(environment, local_rank) if local_rank in environment else 0)
            break
    if all(name in environment for name in _ARRAY):
        place = Place(*count_array(place.rank, place.world_size, environment), place.local_rank)
    if not 0 <= place.rank < place.world_size:
        raise UserError(
            f'This is process {place.rank} of {place.world_size}, counted from 0, by the variables of torchrun or '
            f'Slurm ({rank}, {_ARRAY[0]}, ...): set them as the launcher does, or unset them.'
        )
    return place


class Shards:
    """The shards of a list of files.

    Args:
        folder: Where they are.
        names: The files in their order.
        size: Files in each.

    Raises:
        UserError: The folder cannot be written to, or holds shards of other files.
    """

    def __init__(self, folder: str | Path, names: Sequence[str], size: int = SHARD_SIZE) -> None:
        self.folder = require_writable_folder(folder, '--shards')
        self.names, self.size = names, size
        self.number = -(-len(names) // size)
        digest = hashlib.sha256('\n'.join(names).encode('utf-8', 'surrogateescape')).hexdigest()
        self._record = dict(files=len(names), size=size, digest=digest)
        self._require(self._record)

    def path(self, shard: int) -> Path:
        """The file of a shard."""
        return self.folder / f'scores-{shard:05}-of-{self.number:05}{LINES_SUFFIX}'

    def missing(self, place: Place | None = None) -> list[int]:
        """The shards that are not there, of all or of a rank."""
        own = range(self.number) if place is None else range(place.rank, self.number, place.world_size)
        return [shard for shard in own if not self.path(shard).is_file()]

    def files_of(self, shard: int) -> Sequence[str]:
        """The files of a shard."""
        return self.names[shard * self.size : (shard + 1) * self.size]

    def claim(self, class_names: Sequence[str]) -> None:
        """Note what the shards are of, or hold it against what is noted.

        Raises:
            UserError: They are of other labels.
        """
        record = dict(self._record, labels=list(class_names))
        self._require(record)
        if not (self.folder / RECORD).is_file():
            write_text(self.folder / RECORD, json.dumps(record, ensure_ascii=False, indent=2) + '\n')
            self._require(record)  # another process may have been faster

    def write(self, shards: Sequence[int], results: Iterable[Result]) -> Iterator[Result]:
        """Write shards one after the other, each as soon as its results are there; pass these on.

        Args:
            shards: Numbers of shards.
            results: Those of all their files, in order.
        """
        results = iter(results)
        for shard in shards:
            lines = []
            for result in islice(results, len(self.files_of(shard))):
                lines.append(line_of(result))
                yield result
            with replacing(self.path(shard)) as part:
                part.write_bytes(b''.join(lines))

    def _require(self, record: Mapping[str, object]) -> None:
        """Hold something against the record of the folder, where there is one.

        Raises:
            UserError: It differs.
        """
        file = self.folder / RECORD
        if not file.is_file():
            return
        try:
            found = json.loads(file.read_text(encoding='utf-8'))
            differing = [key for key, value in record.items() if found[key] != value]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f'{shown(file)} is damaged: delete the folder, or give another to --shards.') from error
        if differing == ['labels']:
            raise UserError(
                f'{shown(self.folder)} holds shards of other labels ({first_few(found["labels"])}): give the same, or '
                'another folder.'
            )
        if differing:
            raise UserError(
                f'{shown(self.folder)} holds shards of other files ({found["files"]:,} in shards of {found["size"]:,}, '
                f'now {len(self.names):,} of {self.size:,}). Did files come or go? Give a list of them instead of a '
                'folder, or another folder of shards.'
            )
