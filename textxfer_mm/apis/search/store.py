"""The folder of an index: a record of what made it, files of moments, and a lock that one writer holds.

Nothing in it is ever half there. Files of moments are written whole; where several hold the same video, the newest
counts, so that a writer can be ended between any two steps. Readers need no lock.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from textxfer_mm.apis.search.contents import Contents
from textxfer_mm.apis.search.shards import Shard, joined
from textxfer_mm.errors import UserError, first_few, shown
from textxfer_mm.files import leftovers, require_writable_folder, write_text

RECORD, LOCK = 'index.json', 'lock'
FORMAT_VERSION = 1
SUFFIX = '.safetensors'
_SHARD = re.compile(r'moments-(\d{6})\.safetensors')
#: The most moments of a file that joins small ones, and how many small ones there may be.
MOST_MOMENTS, MOST_SMALL = 65_536, 8


@dataclass(frozen=True)
class IndexRecord:
    """What made an index.

    Attributes:
        weights: Digest of the weights.
        pipeline: Digest of how files become embeddings.
        sources: The paths that were named, absolute.
        about: The model, for messages.
    """

    weights: str
    pipeline: str
    sources: tuple[str, ...]
    about: str


class IndexFolder:
    """The folder of an index.

    Args:
        folder: Where it is, or is to be.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).expanduser()

    def record(self) -> IndexRecord | None:
        """What made it; None where there is none.

        Raises:
            UserError: The record is damaged or of another format.
        """
        file = self.folder / RECORD
        try:
            read = json.loads(file.read_text(encoding='utf-8'))
            version = read.pop('format_version')
            if version != FORMAT_VERSION:
                raise UserError(f'{shown(file)} has format version {version}, known is {FORMAT_VERSION}.')
            return IndexRecord(**{**read, 'sources': tuple(read['sources'])})
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(
                f'{shown(file)} is no record of an index, or it is damaged: --rebuild makes all anew.'
            ) from (error)

    def require(self, wanted: IndexRecord) -> None:
        """Refuse an index that something else made, or that is of other paths where some are wanted.

        Raises:
            UserError: It is.
        """
        found = self.record()
        for key, what in (('weights', 'other weights'), ('pipeline', 'other settings of pipeline, window or stride')):
            has, wants = getattr(found, key), getattr(wanted, key)
            if has != wants:
                raise UserError(
                    f'The index {shown(self.folder)} was made with {what} ({shown(found.about)}, digest {has[:12]}; '
                    f'here {shown(wanted.about)}, {wants[:12]}). Give --index another folder, or --rebuild.'
                )
        if wanted.sources and found.sources != wanted.sources:
            raise UserError(
                f'The index {shown(self.folder)} is of {first_few(found.sources)}, not of {first_few(wanted.sources)}. '
                'Give the same paths, --index another folder, or --rebuild.'
            )

    def contents(self) -> Contents:
        """Read what it holds.

        Raises:
            UserError: A file of it is damaged.
        """
        for _ in range(10):
            with suppress(FileNotFoundError):  # a writer has joined files meanwhile: look again
                return Contents({path: Shard.load(path) for path in self._paths()})
        raise UserError(f'The files of the index {shown(self.folder)} vanish while they are read: try again.')

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the one who writes; what writers that were killed have left is removed.

        Raises:
            UserError: Somebody else is writing, the folder cannot be written to, or it holds something else.
        """
        require_writable_folder(self.folder, 'the index')
        others = [path.name for path in self.folder.iterdir() if path.name != LOCK and path.name[0] != '.']
        if others and not (self.folder / RECORD).exists():
            raise UserError(
                f'{shown(self.folder)} holds other files ({first_few(sorted(others))}) and no index: give --index an '
                'empty folder, or one that does not exist.'
            )
        lock = FileLock(self.folder / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise UserError(
                f'Another run is writing the index {shown(self.folder)}: wait for it, or search what is there with '
                f'--index {shown(self.folder)} and without paths.'
            ) from error
        try:
            for suffix in (SUFFIX, '.json'):
                for left in leftovers(self.folder, suffix):
                    left.unlink(missing_ok=True)
            yield
        finally:
            lock.release()

    def begin(self, record: IndexRecord) -> None:
        """Write the record of an index that has none."""
        write_text(self.folder / RECORD, json.dumps(dict(format_version=FORMAT_VERSION, **asdict(record))) + '\n')

    def clear(self) -> None:
        """Remove all moments, and the record."""
        for path in (*self._paths(), self.folder / RECORD):  # moments without a record would be somebody else's
            path.unlink(missing_ok=True)

    def add(self, shard: Shard) -> None:
        """Write moments; those of files that other shards hold take their place."""
        shard.save(self.folder / self._next_name())

    def tidy(self, gone: frozenset[str]) -> None:
        """Drop files that are gone and what newer shards hold, and join small shards.

        Args:
            gone: Paths of files.
        """
        contents = self.contents()
        for path, shard in contents.shards.items():
            kept = [n for n in contents.live[path] if shard.files[n].path not in gone]
            if not kept:
                path.unlink()
            elif len(kept) < len(shard.files):
                shard.only(kept).save(path)
        small = {path: shard for path, shard in self.contents().shards.items() if 2 * len(shard) < MOST_MOMENTS}
        if len(small) > MOST_SMALL:
            self._join(small)

    def _join(self, small: Mapping[Path, Shard]) -> None:
        """Make few shards of many; each is there before those that it is made of go."""
        batch: dict[Path, Shard] = {}
        for path, shard in [*small.items(), (None, None)]:
            if shard is None or sum(map(len, batch.values())) + len(shard) > MOST_MOMENTS:
                if len(batch) > 1:
                    self.add(joined(list(batch.values())))
                    for old in batch:
                        old.unlink()
                batch = {}
            batch[path] = shard

    def _paths(self) -> list[Path]:
        """The shards, oldest first."""
        return sorted(path for path in self.folder.glob(f'moments-*{SUFFIX}') if _SHARD.fullmatch(path.name))

    def _next_name(self) -> str:
        numbers = [int(_SHARD.fullmatch(path.name)[1]) for path in self._paths()]
        return f'moments-{max(numbers, default=0) + 1:06}{SUFFIX}'
