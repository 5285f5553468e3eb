"""Bringing an index up to date: new files are added, changed ones redone, gone ones dropped."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from textxfer_mm.apis.media_files import FoundMedia
from textxfer_mm.apis.search.contents import Contents
from textxfer_mm.apis.search.moments import MomentEncoder, Moments
from textxfer_mm.apis.search.shards import IndexedFile, Shard
from textxfer_mm.apis.search.store import IndexFolder
from textxfer_mm.errors import UserError

#: What was encoded is written when so many moments or seconds have come together.
FLUSH_MOMENTS, FLUSH_SECONDS = 16_384, 60.0
#: Told of some work, what is done of it and all of it.
Progress = Callable[[str, int, int], None]
#: Of videos with more windows than this, progress is told of each.
_MANY_WINDOWS = 500


@dataclass
class Update:
    """What an update did.

    Attributes:
        added: How many files came.
        redone: How many had changed.
        known: How many were known by their content: they were moved, or only their time had changed.
        dropped: How many went.
        unread: Reasons by name of files that could not be read, and are tried again next time.
        notes: What must be known of single files, one sentence each.
    """

    added: int = 0
    redone: int = 0
    known: int = 0
    dropped: int = 0
    unread: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """How many files by what was done."""
        return {'new': self.added, 'changed': self.redone, 'known by content': self.known, 'gone': self.dropped}


@dataclass(frozen=True)
class Stamp:
    """How a file is called and how it was when it was looked at; see :class:`IndexedFile`."""

    path: str
    name: str
    size: int
    changed: int


@dataclass(frozen=True)
class Look:
    """What files are like now.

    Attributes:
        stamps: The files that are there.
        unread: Reasons by name of the others.
        hidden: Paths of those of the others which may well be there: a drive or a right keeps them from being seen.
    """

    stamps: list[Stamp] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)


def look_at(media: FoundMedia) -> Look:
    """Look at files, and read none."""
    look = Look()
    for file, name in zip(media.files, media.below, strict=True):
        path = os.path.abspath(file)
        try:
            status = os.stat(path)
            look.stamps.append(Stamp(path, name, status.st_size, status.st_mtime_ns))
        except (FileNotFoundError, NotADirectoryError):
            look.unread[name] = 'missing file'
        except OSError as error:
            look.unread[name] = str(error.strerror)
            look.hidden.add(path)
    return look


def differences(contents: Contents, look: Look) -> tuple[list[Stamp], frozenset[str]]:
    """The files that are new or look changed, and the paths of those that are gone."""
    known = {file.path: (file.size, file.changed) for file in contents.files}
    todo = [stamp for stamp in look.stamps if known.get(stamp.path) != (stamp.size, stamp.changed)]
    return todo, frozenset(known) - {stamp.path for stamp in look.stamps} - look.hidden


def update_index(
    folder: IndexFolder, encoder: MomentEncoder, media: FoundMedia, progress: Progress | None = None
) -> Update:
    """Bring an index up to date; its lock must be held.

    A file whose size and time are those of the index is not read. Others are; what is known by its content, such as a
    file that was moved, is not decoded again. What was encoded is written at least every minute, and when the run is
    ended by Ctrl-C or SIGTERM.

    Raises:
        UserError: None of the files can be decoded, or the index cannot be written.
    """
    look = look_at(media)
    contents = folder.contents()
    todo, gone = differences(contents, look)
    job = _Job(folder, contents, todo, Update(unread=look.unread))
    if todo:
        if progress is not None:
            progress(_TITLE, 0, len(todo))
        _encode(job, encoder, progress)
    folder.tidy(gone)
    job.update.dropped = len(gone)
    if todo and not folder.contents().moments:
        first = next(iter({**folder.contents().skipped, **job.update.unread}.items()))
        raise UserError(f'None of the {len(media):,} {media.noun} could be indexed, such as {first[0]}: {first[1]}.')
    return job.update


_TITLE = 'Indexing'


def _encode(job: '_Job', encoder: MomentEncoder, progress: Progress | None) -> None:
    """Encode what is to be done, and write it from time to time."""

    def told(file: str, done: int, total: int) -> None:
        if progress is not None and total > _MANY_WINDOWS:
            progress(f'Moments of {Path(file).name}', done, total)

    files = [stamp.path for stamp in job.todo]
    try:
        for done, moments in enumerate(encoder.encode(files, frozenset(job.by_content), told), 1):
            job.take(moments)
            if progress is not None:
                progress(_TITLE, done, len(files))
    except BaseException:  # Ctrl-C and SIGTERM, too
        with suppress(UserError):  # the disk is full: what was raised says so, or something worse
            job.flush()
        raise
    job.flush()


class _Job:
    """Files that are being encoded, and what of them is not written yet."""

    def __init__(self, folder: IndexFolder, contents: Contents, todo: Sequence[Stamp], update: Update) -> None:
        self.todo, self.update = todo, update
        self._folder = folder
        self._before = {file.path: file.digest for file in contents.files}
        self.by_content = {
            shard.files[n].digest: (shard, n) for path, shard in contents.shards.items() for n in contents.live[path]
        }
        self._waiting: list[tuple[IndexedFile, Moments]] = []
        self._written = time.monotonic()

    def take(self, moments: Moments) -> None:
        """Take the moments of a file, and write what waits if that is much or old."""
        stamp, update = self.todo[moments.position], self.update
        if not moments.digest:  # gone since, or not to be read now
            update.unread[stamp.name] = moments.reason
            return
        if moments.is_known:
            moments = self._known(moments)
            update.known += 1
        elif stamp.path in self._before:
            update.redone += 1
        else:
            update.added += 1
        update.notes += [f'{stamp.name}: {note}' for note in moments.notes]
        about = dict(path=stamp.path, name=stamp.name, size=stamp.size, changed=stamp.changed)
        file = IndexedFile(**about, digest=moments.digest, moments=len(moments.starts), reason=moments.reason)
        self._waiting.append((file, moments))
        number = sum(file.moments for file, _ in self._waiting)
        if number >= FLUSH_MOMENTS or time.monotonic() - self._written >= FLUSH_SECONDS:
            self.flush()

    def _known(self, moments: Moments) -> Moments:
        """The moments of a content that the index had."""
        shard, number = self.by_content[moments.digest]
        own = shard.only([number])
        return Moments(moments.position, moments.digest, own.starts, own.ends, own.vectors, reason=own.files[0].reason)

    def flush(self) -> None:
        """Write what waits."""
        if self._waiting:
            files, parts = zip(*self._waiting, strict=True)
            self._folder.add(_shard_of(files, parts))
        self._waiting, self._written = [], time.monotonic()


def _shard_of(files: Sequence[IndexedFile], parts: Sequence[Moments]) -> Shard:
    """A shard of the moments of some files."""
    filled = [part for part in parts if len(part.starts)]
    vectors = torch.cat([part.vectors for part in filled]) if filled else torch.zeros(0, 1)
    starts, ends = (
        np.concatenate([getattr(part, name) for part in parts]) if parts else np.zeros(0) for name in ('starts', 'ends')
    )
    return Shard(tuple(files), vectors, starts, ends)
