"""What a timeline costs a minute of video, against decoding alone and against predicting each window from the file.

In one process, with the model that the options of ``textxfer timeline`` give, in wall and processor seconds a minute of
video:

* decoding: all frames of the file, made RGB, nothing else;
* wanted: the frames that the windows take, likewise; the others are decoded where these lean on them;
* timeline: ``textxfer_mm.apis.timeline``, everything;
* window by window: each window read from the file and predicted on its own, what one would do without it.

The scores of the last two must agree. Results with their machine are in docs/timeline.md.

    python benchmarks/timeline.py [VIDEO] [--config CONFIG] [--checkpoint FILE] [--rounds 3] [--window S] [--stride S]
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from decoding import texture
from video_kinds import encode

import textxfer_mm.register  # noqa: F401
from textxfer_mm.apis import config_of_checkpoint, load_config, load_recognizer, predict_videos, timeline
from textxfer_mm.apis.model_configs import DEFAULT_CONFIG
from textxfer_mm.apis.sliding import Plan, encoder_of
from textxfer_mm.engine.frameworks import in_scope
from textxfer_mm.video.guard import open_video

LABELS = ['waving', 'clapping hands', 'running', 'swimming']


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0], allow_abbrev=False)
    parser.add_argument('video', type=Path, nargs='?', help='by default ten seconds of moving texture')
    parser.add_argument('--config', default=DEFAULT_CONFIG, help='config of the model')
    parser.add_argument('--checkpoint', type=Path, help='a trained model with its own config and labels instead')
    parser.add_argument('--rounds', type=int, default=3, help='how often each way is timed')
    parser.add_argument('--window', type=float, help='seconds, by default the model decides')
    parser.add_argument('--stride', type=float, help='seconds, by default the model decides')
    parser.add_argument('--json', type=Path, help='write the results to this file')
    return parser.parse_args()


def seconds_of(call: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor time of one call."""
    wall, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - processor


def decode(video: str, numbers: np.ndarray | None = None) -> None:
    """Decode frames of a video in one go, by default all."""
    reader = open_video(video, num_threads=0)
    for _ in reader.stream(np.arange(len(reader)) if numbers is None else numbers):
        pass


def window_by_window(model: torch.nn.Module, video: str, plan: Plan) -> np.ndarray:
    """Scores (W, K), each window read from the file and predicted on its own."""
    windows, reader = plan.windows, open_video(video, num_threads=0)
    parts = zip(windows.first, windows.last, strict=True)
    found = predict_videos(model, (reader.read(np.arange(first, last)) for first, last in parts))
    return np.array([prediction.scores for prediction in found])


def measure(args: argparse.Namespace, video: str) -> dict[str, Any]:
    """Seconds a minute of each way, and what was done."""
    cfg = config_of_checkpoint(args.checkpoint) if args.checkpoint else load_config(args.config)
    model = load_recognizer(cfg, args.checkpoint, class_names=None if args.checkpoint else LABELS)
    with in_scope(model.cfg):
        plan = Plan(video, encoder_of(model), args.window, args.stride)
    options = dict(window=args.window, stride=args.stride)
    found = timeline(model, video, **options)  # warms up, too
    ways = {
        'decoding': lambda: decode(video),
        'wanted': lambda: decode(video, plan.wanted),
        'timeline': lambda: timeline(model, video, **options),
        'window by window': lambda: window_by_window(model, video, plan),
    }
    np.testing.assert_allclose(window_by_window(model, video, plan), found.scores, atol=1e-5)
    minutes = (found.ends[-1] - found.starts[0]) / 60
    times = {name: [] for name in ways}
    for _ in range(args.rounds):  # in turns, as other work on the machine comes and goes
        for name, call in ways.items():
            times[name].append([part / minutes for part in seconds_of(call)])
    medians = {
        name: [statistics.median(column) for column in zip(*rounds, strict=True)] for name, rounds in times.items()
    }
    about = dict(minutes=minutes, frames=found.frames, encoded=found.encoded, windows=len(found.starts))
    return dict(about, window=found.window, stride=found.stride, threads=torch.get_num_threads(), seconds=medians)


def main() -> None:
    """Measure one video and print a line for each way."""
    args = parse_args()
    with tempfile.TemporaryDirectory() as folder:
        video = str(args.video or encode(Path(folder) / 'texture.mp4', 'h264_mp4', list(texture())))
        found = measure(args, video)
    windows = f'{found["windows"]} windows of {found["window"]:.2f} s, one every {found["stride"]:.2f} s'
    print(f'{60 * found["minutes"]:.1f} s, {found["frames"]} frames, {found["encoded"]} encoded; {windows}')
    for name, (wall, processor) in found['seconds'].items():
        print(f'{name:18} {wall:8.2f} s a minute, {processor:8.2f} s of the processors')
    if args.json:
        args.json.write_text(json.dumps(found, indent=2))


if __name__ == '__main__':
    main()
