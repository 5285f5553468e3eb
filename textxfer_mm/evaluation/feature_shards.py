"""Features of a long list of videos in a folder: a record of what made them, and shards that are written whole.

A shard is a file of :class:`~textxfer_mm.evaluation.feature_bank.FeatureBank` with the next videos of the list. Who
writes does not wait for the others, and who goes on passes over the shards that are there.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from textxfer_mm.errors import UserError, first_few
from textxfer_mm.evaluation.feature_bank import BankFile
from textxfer_mm.files import write_text

RECORD = 'record.json'
FORMAT_VERSION = 1
#: What a difference in a field of the record means, for the message.
_FIELDS = dict(
    weights='weights',
    pipeline='pipeline',
    stage='stage of the backbone',
    list_digest='list of videos',
    copies='number of copies',
    seed='seed of the copies',
    shard_size='size of the shards',
)


@dataclass(frozen=True)
class ShardRecord:
    """What made the features of a folder.

    Attributes:
        weights: Digest of the weights.
        pipeline: Digest of how videos become inputs.
        stage: What was taken: the output of the ``'backbone'``, or that of its ``'frozen'`` stages.
        list_digest: Digest of the names and labels of the list.
        videos: How many the list has.
        copies: Augmented copies of each video; 0 for one that is not augmented.
        seed: Seed of the copies.
        shard_size: Videos a shard.
        about: What else is known: config, checkpoint, split, ...; what JSON can hold.
    """

    weights: str
    pipeline: str
    stage: str
    list_digest: str
    videos: int
    copies: int
    seed: int
    shard_size: int
    about: dict[str, Any]

    @property
    def shards(self) -> int:
        """How many shards there are."""
        return -(-self.videos // self.shard_size)

    def positions(self, shard: int) -> range:
        """The places in the list of the videos of a shard."""
        return range(shard * self.shard_size, min((shard + 1) * self.shard_size, self.videos))

    def file(self, folder: Path, shard: int) -> Path:
        """The file of a shard."""
        return folder / f'{shard:05d}-of-{self.shards:05d}.safetensors'

    def missing(self, folder: Path) -> list[Path]:
        """The files of the shards that are not there."""
        files = (self.file(folder, shard) for shard in range(self.shards))
        return [file for file in files if not file.is_file()]

    def save(self, folder: Path) -> None:
        """Write the record, or see that the one that is there says the same.

        Raises:
            UserError: The folder holds features that something else made.
        """
        if (folder / RECORD).is_file():
            found = ShardRecord.load(folder)
            other = next((name for field, name in _FIELDS.items() if getattr(found, field) != getattr(self, field)), '')
            if other:
                raise UserError(
                    f'{folder} holds features of another {other} ({found.origin}). Give a new folder, or what these '
                    'were made with.'
                )
            return
        write_text(folder / RECORD, json.dumps(dict(format_version=FORMAT_VERSION, **asdict(self)), indent=2) + '\n')

    @property
    def origin(self) -> str:
        """Where the features come from, for messages."""
        return f'{self.about.get("config", "config unknown")}, {self.about.get("checkpoint") or "no checkpoint"}'

    @classmethod
    def load(cls, folder: str | Path) -> 'ShardRecord':
        """Read the record of a folder.

        Raises:
            UserError: There is none, or it is damaged or of another format.
        """
        file = Path(folder).expanduser() / RECORD
        if not file.is_file():
            inside = sorted(path.parent.name for path in file.parent.glob(f'*/{RECORD}'))
            raise UserError(
                f'{folder} holds no features: `textxfer features CONFIG OUT` writes them into OUT/train, OUT/val, ...'
                + (f' Give one of its folders: {", ".join(inside)}.' if inside else '')
            )
        try:
            read = json.loads(file.read_text(encoding='utf-8'))
            version = read.pop('format_version')
            if version != FORMAT_VERSION:
                raise UserError(f'{file} has format version {version}, known is {FORMAT_VERSION}.')
            return cls(**read)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f'{file} is no record of features, or it is damaged ({error}).') from error


class FeatureShards:
    """The features of a folder, which stay there until they are asked for.

    Args:
        folder: What ``textxfer features`` wrote for one split.

    Attributes:
        record: What made them.
        files: The shards, in the order of the list.
        sample_shape: Shape of one copy of a video: (V, D, T, H, W), or (V * T, D, H, W) of a 2-D recognizer.

    Raises:
        UserError: There is no record, shards are missing, or do not belong to it, or no video is left.
    """

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder).expanduser()
        self.record = ShardRecord.load(folder)
        missing = self.record.missing(folder)
        if missing:
            raise UserError(
                f'{folder} is not whole: {len(missing)} of {self.record.shards} shards are missing, '
                f'{first_few(file.name for file in missing)}. Run the same `textxfer features` again: it goes on.'
            )
        self.files = [BankFile(self.record.file(folder, shard)) for shard in range(self.record.shards)]
        for file in self.files:
            for name in ('weights', 'pipeline'):
                if getattr(file, name) != getattr(self.record, name):
                    raise UserError(f'{file.path} is of another {name} than the record beside it: remove the file.')
        shapes = {file.shape[1:]: file.path.name for file in self.files if file.shape[0]}
        if len(shapes) != 1:
            found = first_few((f'{shape} in {name}' for shape, name in shapes.items()), separator='; ')
            raise UserError(
                f'{folder} holds features of other shapes: {found}.'
                if shapes
                else f'{folder} holds no features: none of the {self.record.videos} videos could be decoded.'
            )
        self.sample_shape = next(iter(shapes))[1:]

    @property
    def copies(self) -> int:
        """How many copies of each video there are."""
        return max(self.record.copies, 1)

    @property
    def skipped(self) -> dict[str, str]:
        """Reasons by name of the videos that could not be decoded."""
        return {name: reason for file in self.files for name, reason in file.skipped.items()}

    def entries(self) -> Iterator[tuple[str, Any, int, int]]:
        """Yield each video in the order of the list: its name, its label or a row of zeros and ones, shard and row."""
        for shard, file in enumerate(self.files):
            for row, (name, label) in enumerate(zip(file.names, file.labels.tolist(), strict=True)):
                yield name, label, shard, row
