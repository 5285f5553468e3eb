"""The videos: toy actions of one seed in three looks, and real clips that the user has."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from pages.multi_dataset.vocabularies import CLIP_NAMES, CLIPS, TOYS, actions_of
from pages.small_scale.data import keep
from textxfer_mm.datasets.toy_actions import files, render_clip
from textxfer_mm.errors import UserError
from textxfer_mm.video.reader import VideoReader
from textxfer_mm.video.unreadable import UnreadableVideoError

#: Width and height of the frames that are kept; clips of another shape are squeezed.
SIZE = (96, 72)
SPLITS = ('train', 'val')


def _infrared(frame: np.ndarray) -> np.ndarray:
    """Grey and inverted."""
    return np.repeat(255 - cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def _dim(frame: np.ndarray) -> np.ndarray:
    """Dark, with little contrast, and out of focus."""
    return cv2.GaussianBlur(20 + frame // 3, (5, 5), 0)


#: What is made of an RGB frame (H, W, 3) in each dataset.
LOOKS: dict[str, Callable[[np.ndarray], np.ndarray]] = dict(colour=lambda frame: frame, infrared=_infrared, dim=_dim)


def prepare(root: Path, seed: int, train: int, val: int, say: Callable[[str], None]) -> Path:
    """Render the toy actions of one seed, unless that was done before.

    Args:
        root: Where the folders of the seeds are.
        seed: Seed of all videos.
        train: Training videos of each class.
        val: Test videos of each class.
        say: Told what is done.

    Returns:
        The folder of the lists ``<dataset>/{train,val}.json`` and their frames.
    """
    folder = root / f'seed{seed}-{train}-{val}-format{files.FORMAT}'
    lists = {(name, split): folder / name / f'{split}.json' for name in TOYS for split in SPLITS}
    missing = {of: file for of, file in lists.items() if not file.exists()}
    if missing:
        say(f'seed {seed}: rendering its videos')
    for (name, split), file in missing.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        keep(file, _rendered(name, split, seed, train if split == 'train' else val))
    return folder


def _rendered(dataset: str, split: str, seed: int, per_class: int) -> Iterator[tuple[str, int, list[np.ndarray]]]:
    """Yield name, label and frames of the videos of one list; no two datasets share one."""
    key = (seed, TOYS.index(dataset), SPLITS.index(split))
    for label, action in enumerate(actions_of(dataset)):
        for index in range(per_class):
            shown = (frame[..., ::-1] for frame in render_clip(action, (*key, index)).frames)
            small = (cv2.resize(np.ascontiguousarray(frame), SIZE, interpolation=cv2.INTER_AREA) for frame in shown)
            yield f'{action} {index}', label, [LOOKS[dataset](frame) for frame in small]


def take_clips(source: Path, root: Path, say: Callable[[str], None]) -> None:
    """Decode the real clips, unless that was done before.

    Args:
        source: Folder of the lists ``{train,val}.txt``, with lines ``path label`` and paths from this folder.
        root: Where the frames are kept.
        say: Told what is done.

    Raises:
        UserError: A list is not there, its labels are not those of the two classes, or a clip cannot be decoded.
    """
    for split in SPLITS:
        file = root / CLIPS / f'{split}.json'
        if file.exists():
            continue
        _check_list(source / f'{split}.txt')
        say(f'decoding the clips of {split}.txt')
        file.parent.mkdir(parents=True, exist_ok=True)
        keep(file, _decoded(source, split))


def _decoded(source: Path, split: str) -> Iterator[tuple[str, int, list[np.ndarray]]]:
    """Yield name, label and frames of the clips of one list, by the package's reader: their sizes are unequal."""
    for path, label in _entries(source / f'{split}.txt'):
        try:
            reader = VideoReader(str(source / path))
            frames = reader.read(range(len(reader)))
        except UnreadableVideoError as error:
            raise UserError(f'--clips: {source / path} cannot be decoded: {error}') from error
        reader.close()
        yield path, int(label), [cv2.resize(frame, SIZE, interpolation=cv2.INTER_AREA) for frame in frames]


def _entries(file: Path) -> list[list[str]]:
    """The lines ``path label`` of a list."""
    return [line.rsplit(' ', 1) for line in file.read_text(encoding='utf-8').splitlines() if line.strip()]


def _check_list(file: Path) -> None:
    """Refuse a list that is not of the two classes."""
    if not file.is_file():
        raise UserError(f'--clips: {file.parent} has no {file.name}; lines of it are "path label".')
    entries = _entries(file)
    labels = {entry[-1] for entry in entries}
    if labels != {str(label) for label in range(len(CLIP_NAMES))}:
        raise UserError(
            f'--clips: the lines of {file} end with the label 0 ({CLIP_NAMES[0]}) or 1 ({CLIP_NAMES[1]}), and both '
            'occur.'
        )
    absent = [entry[0] for entry in entries if not (file.parent / entry[0]).is_file()]
    if absent:
        raise UserError(f'--clips: {file} lists {absent[0]}, which is not in {file.parent}.')
