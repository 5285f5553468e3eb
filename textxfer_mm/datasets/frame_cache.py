"""Rendered frames in a file: written once by whoever asks first, mapped into memory by all."""

import logging
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from textxfer_mm.errors import UserError
from textxfer_mm.files import leftovers, replacing, require_writable_folder

logger = logging.getLogger(__name__)

Shape = tuple[int, ...]


class FrameCache:
    """A ``.npy`` file of uint8 frames, uncompressed, that several processes may ask for at once.

    Copies and processes that are given one map the file themselves; no frames travel with it.

    Args:
        file: Where the frames are, or will be; a file ending in ``.lock`` stands beside it.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._frames: np.ndarray | None = None

    def __getstate__(self) -> dict[str, Any]:
        return dict(file=self.file, _frames=None)

    def frames(self, shape: Shape, render: Callable[[], Iterable[np.ndarray]]) -> np.ndarray:
        """The frames, read-only; they are rendered if the file is not there, and others wait meanwhile.

        Args:
            shape: Shape of all of them, such as (n, T, H, W, 3).
            render: Gives them one after another along the first axis.

        Raises:
            UserError: The folder cannot be written to, the disk is full, or the file is not whole or cannot be read.
        """
        if self._frames is None:
            if not self.file.exists():  # it appears whole, so what is there needs no lock
                require_writable_folder(self.file.parent, 'cache_dir')
                with FileLock(self.file.with_suffix('.lock')):
                    if not self.file.exists():
                        self._remove_leftovers()
                        logger.info('Rendering %d entries into %s, once; this takes a while.', shape[0], self.file)
                        _write(self.file, shape, render())
            self._frames = _map(self.file, shape)
        return self._frames

    def _remove_leftovers(self) -> None:
        """Remove what a process left that was killed while it rendered; under the lock nobody else does."""
        for part in leftovers(self.file.parent, self.file.suffix):
            if part.name.startswith(f'.{self.file.stem}.'):
                part.unlink(missing_ok=True)


def in_order(make: Callable[[int], np.ndarray], count: int, processes: int = 1) -> Iterator[np.ndarray]:
    """Make so many frames, by some processes at once where they can be forked, and yield them in their order.

    Args:
        make: Makes those of an index, the same in every process.
        count: How many there are.
        processes: How many make them.
    """
    if processes == 1 or 'fork' not in multiprocessing.get_all_start_methods():
        yield from map(make, range(count))
        return
    context = multiprocessing.get_context('fork')  # what makes them need not travel, nor be loaded again
    with context.Pool(min(processes, count), _Maker.adopt, (make,)) as pool:
        yield from pool.imap(_Maker.make, range(count), chunksize=64)


class _Maker:
    """What a process of a pool makes, which was handed over when it was forked."""

    made_by: Callable[[int], np.ndarray]

    @classmethod
    def adopt(cls, made_by: Callable[[int], np.ndarray]) -> None:
        """Take what makes the frames, and one core."""
        import cv2

        cv2.setNumThreads(0)
        cls.made_by = staticmethod(made_by)

    @classmethod
    def make(cls, index: int) -> np.ndarray:
        """Make those of an index."""
        return cls.made_by(index)


def _write(file: Path, shape: Shape, frames: Iterable[np.ndarray]) -> None:
    """Write frames one after another: all of them together may not fit into memory."""
    with replacing(file) as part, part.open('wb') as stream:
        header = dict(descr='|u1', fortran_order=False, shape=shape)
        np.lib.format.write_array_header_1_0(stream, header)
        for frame in frames:
            stream.write(frame.tobytes())


def _map(file: Path, shape: Shape) -> np.ndarray:
    """Map a file into memory."""
    try:
        frames = np.load(file, mmap_mode='r')
        if frames.shape != shape or frames.dtype != np.uint8:
            raise ValueError(f'it holds {frames.dtype} of shape {frames.shape}')
    except OSError as error:
        raise UserError(f'{file}, a cache of frames, cannot be read: {error.strerror}.') from error
    except (ValueError, EOFError) as error:
        raise UserError(
            f'{file} is no whole cache of frames: delete it, and they are rendered again. ({error})'
        ) from error
    return frames
