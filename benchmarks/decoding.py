"""Frames a second of our decoding and of a whole training pipeline, against bare decoding that is right.

One video of 10 s is encoded in each way below, 8 frames are sampled over its whole length, and the ways to get them
take turns in one process on one core (processor time):

* bare: PyAV in a loop from the first frame on, which is right for all of these; the asked frames are made RGB;
* decord: its ``get_batch`` on an opened path; told as wrong where it gives other frames;
* stock: MMAction2's ``DecordInit`` and ``DecordDecode``, likewise;
* ours: ``TolerantDecordInit`` and ``TolerantDecordDecode``;
* pipeline: ours, then a random crop, its resizing, a flip and RandAugment, to packed inputs.

Results with their machine are in docs/benchmarks.md.

    python benchmarks/decoding.py [--source VIDEO | --files VIDEO ...] [--rounds 9] [--json FILE]
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')  # read when NumPy, OpenCV and torch are imported

import av
import cv2
import decord
import numpy as np
import torch
from av.video.reformatter import VideoReformatter
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from video_kinds import KINDS, encode

import textxfer_mm.register  # noqa: F401
from textxfer_mm.video.reader import VideoReader

#: Kinds to measure, and how they are called in the table.
MEASURED = {
    'h264_mp4': 'H.264 mp4, groups of 12',
    'h264_one_group_mp4': 'H.264 mp4, one group',
    'xvid_b_frames_avi': 'Xvid avi, B frames',
    'hevc_mp4': 'HEVC mp4',
    'av1_mp4': 'AV1 mp4',
    'vp9_webm': 'VP9 webm',
}
WIDTH, HEIGHT, COUNT, ASKED = 340, 256, 250, 8
AUGMENTATION = [
    dict(type='RandomResizedCrop'),
    dict(type='Resize', scale=(224, 224), keep_ratio=False),
    dict(type='Flip', flip_ratio=0.5),
    dict(type='TorchVisionWrapper', op='RandAugment'),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]
SAMPLE = dict(type='UniformSample', clip_len=ASKED)
OURS = [dict(type='TolerantDecordInit'), SAMPLE, dict(type='TolerantDecordDecode')]
STOCK = [dict(type='DecordInit'), SAMPLE, dict(type='DecordDecode')]


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0], allow_abbrev=False)
    parser.add_argument('--source', type=Path, help='video whose frames are encoded; by default moving texture')
    parser.add_argument('--files', type=Path, nargs='+', help='videos to measure as they are, instead of encoding any')
    parser.add_argument('--rounds', type=int, default=9, help='how often each way is timed')
    parser.add_argument('--json', type=Path, help='write the results to this file')
    return parser.parse_args()


def texture() -> Iterator[np.ndarray]:
    """Smooth texture that moves, with a little noise, as cameras give it."""
    rng = np.random.default_rng(0)
    plane = rng.integers(0, 255, (HEIGHT, 2 * WIDTH, 3), dtype=np.uint8)
    plane = cv2.normalize(cv2.GaussianBlur(plane, (0, 0), 4), None, 0, 255, cv2.NORM_MINMAX)
    for number in range(COUNT):
        frame = plane[:, number : number + WIDTH]
        yield np.clip(frame.astype(np.int16) + rng.integers(-4, 5, frame.shape), 0, 255).astype(np.uint8)


def frames_of(source: Path) -> Iterator[np.ndarray]:
    """The first frames of a video at the size of the benchmark."""
    reader = VideoReader(str(source))
    for number in range(min(COUNT, len(reader))):
        yield cv2.resize(reader.read([number])[0], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def bare(path: str, asked: list[int]) -> np.ndarray:
    """Decode in a loop from the first frame on."""
    wanted, found, reformatter = set(asked), [], VideoReformatter()
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for number, frame in enumerate(container.decode(stream)):
            if number in wanted:
                found.append(reformatter.reformat(frame, format='rgb24').to_ndarray())
            if number == asked[-1]:
                break
    return np.stack(found)


def by_decord(path: str, asked: list[int]) -> np.ndarray:
    """Decode with decord."""
    return decord.VideoReader(path, num_threads=1).get_batch(asked).asnumpy()


def seconds_of(call: Callable[[], object]) -> float:
    """Processor time of one call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def measure(path: str, rounds: int) -> dict[str, float | None]:
    """Median seconds a video of each way, and None where decord is wrong or cannot open it."""
    asked = np.linspace(0, len(VideoReader(path)) - 1, ASKED).astype(int).tolist()
    right = VideoReader(path).read(asked).astype(int)
    assert np.abs(right - bare(path, asked)).mean() < 1
    ours, stock, whole = (Compose(steps) for steps in (OURS, STOCK, [*OURS, *AUGMENTATION]))

    def sample() -> dict:
        return dict(filename=path, label=0, start_index=0, modality='RGB')

    ways = {
        'bare': lambda: bare(path, asked),
        'decord': lambda: by_decord(path, asked),
        'stock': lambda: stock(sample()),
        'ours': lambda: ours(sample()),
        'pipeline': lambda: whole(sample()),
    }
    try:
        is_right = bool(np.abs(right - by_decord(path, asked)).mean() < 1)
    except decord.DECORDError:
        is_right = False
        del ways['decord'], ways['stock']
    times = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            times[name].append(seconds_of(way))
        if number == 0:  # the first of each warms up
            times = {name: [] for name in ways}
    found: dict[str, float | None] = {name: statistics.median(spent) for name, spent in times.items()}
    return found | dict(decord_is_right=is_right)


def videos(args: argparse.Namespace, folder: Path) -> Iterator[tuple[str, str]]:
    """Names and paths of what is measured; it is encoded into the folder."""
    if args.files:
        yield from ((path.name, str(path)) for path in args.files)
        return
    frames = list(texture() if args.source is None else frames_of(args.source))
    for kind, name in MEASURED.items():
        yield name, str(encode(folder / f'video{KINDS[kind].suffix}', kind, frames))


def row(name: str, found: dict[str, float | None]) -> str:
    """A line of the table."""
    cells = []
    for way, width in (('bare', 8), ('decord', 11), ('stock', 11), ('ours', 8), ('pipeline', 10)):
        text = f'{ASKED / found[way]:.0f}' if way in found else '-'
        is_wrong = way in ('decord', 'stock') and way in found and not found['decord_is_right']
        cells.append(f'{text + " wrong" if is_wrong else text:>{width}}')
    ratios = [f'{found["bare"] / found[way]:.2f}' for way in ('ours', 'pipeline')]
    ratios.append(f'{found["stock"] / found["ours"]:.2f}' if 'stock' in found else '-')
    return f'{name:30}{"".join(cells)}  {", ".join(ratios)}'


def main() -> None:
    """Encode, measure and print a table."""
    args = parse_args()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    decord.logging.set_level(decord.logging.QUIET)
    init_default_scope('mmaction')
    results = {}
    ways = f'{"bare":>8}{"decord":>11}{"stock":>11}{"ours":>8}{"pipeline":>10}'
    print(f'{"frames a second":30}{ways}  ours/bare, pipeline/bare, ours/stock')
    with tempfile.TemporaryDirectory() as folder:
        for name, path in videos(args, Path(folder)):
            found = results[name] = measure(path, args.rounds)
            print(row(name, found), flush=True)
    if args.json:
        args.json.write_text(json.dumps(results, indent=2))


if __name__ == '__main__':
    main()
