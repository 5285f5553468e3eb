"""The toy actions of one seed, decoded once: all frames of a list lie in one array on disk that processes share."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import decord
import numpy as np

from textxfer_mm.datasets.toy_actions import files, render_toy_actions
from textxfer_mm.files import replacing, write_text
from textxfer_mm.registry import DATASETS

from mmaction.datasets import BaseActionDataset  # isort: skip  (after the registry: it repairs mmaction first)
from mmcv import imresize  # isort: skip


@dataclass(frozen=True)
class Clips:
    """How many videos are rendered, and how large their frames are kept.

    Attributes:
        train: Training videos of each seen class.
        val: Validation videos of each seen class.
        zero_shot: Videos of each unseen class.
        short_side: Frames are resized to this many pixels on their short side before they are kept.
    """

    train: int = 40
    val: int = 20
    zero_shot: int = 40
    short_side: int = 72


def prepare(root: Path, seed: int, clips: Clips, say: Callable[[str], None]) -> Path:
    """Render and decode the videos of one seed, unless that was done before.

    Returns:
        The folder of the lists ``{train,val,zero_shot}.json`` and their frames.
    """
    name = f'{clips.train}-{clips.val}-{clips.zero_shot}-format{files.FORMAT}'
    videos = root / f'seed{seed}-{name}'
    folder = videos / f'frames{clips.short_side}'
    if all((folder / f'{split}.json').exists() for split in files.SPLITS):
        return folder
    say(f'seed {seed}: rendering and decoding its videos')
    render_toy_actions(
        videos,
        seed=seed,
        train_clips=clips.train,
        val_clips=clips.val,
        zero_shot_clips=clips.zero_shot,
    )
    for split in files.SPLITS:
        _decode(videos, split, folder, clips.short_side)
    return folder


def _decode(videos: Path, split: str, folder: Path, short_side: int) -> None:
    """Keep the frames of one list."""
    keep(folder / f'{split}.json', _decoded(videos, split, short_side))


def _decoded(videos: Path, split: str, short_side: int) -> Iterator[tuple[str, int, list[np.ndarray]]]:
    """Yield the name, the label and the frames of the videos of one list."""
    for line in (videos / f'{split}.txt').read_text().splitlines():
        path, label = line.rsplit(' ', 1)
        reader = decord.VideoReader(str(videos / path), num_threads=1)
        decoded = reader.get_batch(range(len(reader))).asnumpy()
        height, width = decoded.shape[1:3]
        scale = short_side / min(height, width)
        size = (round(width * scale), round(height * scale))
        yield path, int(label), [imresize(frame, size) for frame in decoded]


def keep(ann_file: Path, videos: Iterable[tuple[str, int, list[np.ndarray]]]) -> None:
    """Write the frames of one list (all frames, H, W, 3), uint8, and then the list itself as the sign of success.

    Args:
        ann_file: The list that :class:`DecodedVideos` reads.
        videos: Name, label and RGB frames (H, W, 3) of each.
    """
    entries, frames, start = [], [], 0
    for name, label, shown in videos:
        entries.append(dict(filename=name, label=label, start=start, total_frames=len(shown)))
        frames += shown
        start += len(shown)
    with replacing(ann_file.with_suffix('.npy')) as part:
        np.save(part, np.stack(frames))
    write_text(ann_file, json.dumps(entries))


@DATASETS.register_module()
class DecodedVideos(BaseActionDataset):
    """Videos whose frames are an array already; ``UniformSample`` and ``ArrayDecode`` pick from it.

    Args:
        ann_file: List written by :func:`keep`; the frames lie beside it.
        pipeline: Steps of a pipeline.
        test_mode: As in every dataset of MMEngine.
    """

    def __init__(self, ann_file: str, pipeline: list[dict[str, Any]], *, test_mode: bool = False) -> None:
        self._frames = np.load(Path(ann_file).with_suffix('.npy'), mmap_mode='r')
        super().__init__(ann_file, pipeline, test_mode=test_mode)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read the list."""
        return json.loads(Path(self.ann_file).read_text())

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """One video with its frames (T, H, W, 3)."""
        info = super().get_data_info(idx)
        start = info.pop('start')
        return dict(info, array=self._frames[start : start + info['total_frames']])
