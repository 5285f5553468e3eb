"""Long predictions that can be ended at any time: what is left to be done, and where it is written. Light: no torch."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from textxfer_mm.apis.predictions import Result, VideoFailure
from textxfer_mm.apis.score_files import ScoreFiles
from textxfer_mm.apis.shards import SHARD_SIZE, Place, Shards, place_of_process
from textxfer_mm.errors import UserError, first_few

#: What is called with the position of a file and its result before that is written.
BeforeWriting = Callable[[int, Result], None]


class PredictionRun(Protocol):
    """A run over some files.

    Attributes:
        total: How many files this process is asked for.
        todo: Positions of those that are not done yet.
        failed: How many could not be decoded.
        targets: What there is at the end.
    """

    total: int
    todo: list[int]
    failed: int
    targets: list[Path]

    def recognise(self, recognizer: Any, before: BeforeWriting | None = None) -> Iterator[Result]:
        """Recognise what is to be done and write it as it comes; pass it on."""

    def finish(self) -> None:
        """Bring what was written to its end."""

    def kept(self) -> str:
        """Say what is kept when the run is ended now; empty where nothing is."""

    def notes(self) -> list[str]:
        """Say what must be known at the end."""


class FilesRun:
    """A run that writes to files of scores, or to none; see :class:`PredictionRun`.

    Args:
        names: The files.
        json_file: See :class:`~textxfer_mm.apis.score_files.ScoreFiles`.
        csv_file: Likewise.
        resume: Likewise.

    Raises:
        UserError: The files cannot be written, or hold something else.
    """

    def __init__(
        self, names: Sequence[str], json_file: Path | None = None, csv_file: Path | None = None, *, resume: bool = False
    ) -> None:
        processes = os.environ.get('WORLD_SIZE', '1')  # of torchrun, which gives all of them the same command
        if processes != '1' and (json_file or csv_file):
            raise UserError(f'{processes} processes cannot write one file: give --shards FOLDER instead.')
        self._names, self._files = names, ScoreFiles(json_file, csv_file, resume=resume)
        self.total, self.todo = len(names), self._files.left_of(names)
        self.targets = self._files.targets

    @property
    def failed(self) -> int:
        """How many could not be decoded, in earlier runs too."""
        return self._files.failed

    def recognise(self, recognizer: Any, before: BeforeWriting | None = None) -> Iterator[Result]:
        """Recognise what is to be done and write it as it comes; pass it on.

        Raises:
            UserError: The files hold scores of other labels, or cannot be written any more.
        """
        self._files.begin(recognizer.class_names)
        try:
            results = recognizer.stream([self._names[position] for position in self.todo])
            for position, result in zip(self.todo, results, strict=True):
                if before is not None:
                    before(position, result)
                self._files.add(result)
                yield result
        finally:
            self._files.close()

    def finish(self) -> None:
        """Make one array of the lines, where that was asked for."""
        self._files.finish()

    def kept(self) -> str:
        """Say what is kept when the run is ended now; empty where nothing is."""
        growing = self._files.growing
        if not growing:
            return ''
        return f'What was done is in {first_few(growing)}; --resume goes on with it.'

    def notes(self) -> list[str]:
        """Nothing more."""
        return []


class ShardsRun:
    """A run that writes the shards of its rank; see :class:`PredictionRun`.

    Args:
        names: All files, the same list in every process.
        folder: The folder of the shards.
        place: Which process this is; None asks torchrun's and Slurm's variables.
        size: Files in a shard.

    Raises:
        UserError: The folder cannot be written to, or holds other shards.
    """

    def __init__(
        self, names: Sequence[str], folder: str | Path, place: Place | None = None, size: int = SHARD_SIZE
    ) -> None:
        self.place = place_of_process() if place is None else place
        self._shards = Shards(folder, names, size)
        own = range(self.place.rank, self._shards.number, self.place.world_size)
        self._missing = self._shards.missing(self.place)
        self.total = sum(len(self._shards.files_of(shard)) for shard in own)
        self.todo = [
            shard * size + offset for shard in self._missing for offset in range(len(self._shards.files_of(shard)))
        ]
        self.failed = 0
        self.targets = [self._shards.folder]

    def recognise(self, recognizer: Any, before: BeforeWriting | None = None) -> Iterator[Result]:
        """Recognise what is to be done and write it shard by shard; pass it on.

        Raises:
            UserError: The folder holds shards of other labels, or cannot be written to any more.
        """
        self._shards.claim(recognizer.class_names)
        results = recognizer.stream([self._shards.names[position] for position in self.todo])
        for position, result in zip(self.todo, self._shards.write(self._missing, results), strict=True):
            if before is not None:
                before(position, result)
            self.failed += isinstance(result, VideoFailure)
            yield result

    def finish(self) -> None:
        """Nothing is left to do."""

    def kept(self) -> str:
        """Say what is kept when the run is ended now."""
        return f'Whole shards are kept in {first_few(self.targets)}; the same command goes on with the others.'

    def notes(self) -> list[str]:
        """Say which shards others have still to write."""
        left, place = len(self._shards.missing()), self.place
        whose = f'This was process {place.rank} of {place.world_size}. ' if place.world_size > 1 else ''
        return [f'{whose}{self._shards.number - left:,} of {self._shards.number:,} shards are there.']
