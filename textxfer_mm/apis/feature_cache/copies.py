"""The videos of a list, each in one copy or several, that are the same in whichever process and order they are made."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from textxfer_mm.apis.encoding import Videos
from textxfer_mm.text.digests import content_digest


class Copies(Dataset):
    """Copy c of video p at p * C + c, as ``(index, (data, digest of the video), reason)``; see :class:`Videos`.

    What the pipeline draws at random follows from the seed, the place of the video and the copy alone.

    Args:
        videos: The videos.
        copies: C.
        seed: The seed.
    """

    def __init__(self, videos: Videos, copies: int, seed: int) -> None:
        self.videos, self.copies, self.seed = videos, copies, seed

    def __len__(self) -> int:
        return len(self.videos) * self.copies

    def __getitem__(self, index: int) -> tuple[int, Any, str]:
        position, copy = divmod(index, self.copies)
        with _drawing_by(self.seed, position, copy):
            _, data, reason = self.videos[position]
        if data is None:
            return index, None, reason
        return index, (data, digest_of_video(self.videos.names[position]) if copy == 0 else ''), ''


def digest_of_video(name: str) -> str:
    """SHA-256 of a file; of a folder of frames, of their names and sizes; '' of what is neither."""
    path = Path(name)
    path = next((p for p in (path, path.with_name(f'{path.name}.mp4')) if p.exists()), path)  # as ExactVideoInit does
    if path.is_file():
        return content_digest(path)
    if not path.is_dir():
        return ''
    frames = sorted((file.name, file.stat().st_size) for file in path.iterdir() if file.is_file())
    return hashlib.sha256(repr(frames).encode()).hexdigest()


@contextmanager
def _drawing_by(*seeds: int) -> Iterator[None]:
    """Let the generators of this process draw by these seeds, and go on afterwards as they were."""
    words = np.random.SeedSequence(seeds).generate_state(3)
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):  # a data worker must not touch a GPU
        random.seed(int(words[0]))
        np.random.seed(words[1])
        torch.default_generator.manual_seed(int(words[2]))
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
