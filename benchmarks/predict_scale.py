"""Whether prediction over many videos is as fast as its slower half, needs no more memory with time, and goes on.

Rendered toy videos, the packaged model, ``Recognizer`` as ``textxfer predict`` uses it:

* decoding alone: the processes that decode, with nobody behind them;
* model alone: batches of videos that are decoded already. Its frames are small by default, so that it is about as
  fast as decoding: there one that waited for the other would cost most;
* both: recognised and written as JSON lines, decoding ahead of the model.

In turns on parts of the videos, as other work on the machine comes and goes. The rate of both is held against that of
the slower half: by wall time, and by processor time, which is what wall time would be if this process and the one that
decodes had a core each and nobody else were there. The memory of all processes (proportional set size) in the first
half of the videos is held against that in the second. Then the command itself is killed (SIGKILL) and goes on with
``--resume``; what it wrote is held against the list of the videos. Results with their machine are in docs/predict.md.

    python benchmarks/predict_scale.py [--videos 1000] [--workers 1] [--threads 1] [--json FILE]
"""

import argparse
import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import textxfer_mm.register  # noqa: F401
from textxfer_mm.apis import Recognizer, load_config, load_recognizer
from textxfer_mm.apis.decoding_ahead import Decoded, decode, decode_ahead
from textxfer_mm.apis.model_configs import DEFAULT_CONFIG
from textxfer_mm.apis.prediction_runs import FilesRun
from textxfer_mm.datasets.toy_actions import render_toy_actions

LABELS = ['waving', 'clapping hands', 'running', 'swimming']
ROOT = Path(__file__).parents[1]


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0], allow_abbrev=False)
    parser.add_argument('--videos', type=int, default=1000, help='how many are rendered')
    parser.add_argument('--parts', type=int, default=4, help='how often the ways take turns')
    parser.add_argument('--workers', type=int, default=1, help='processes that decode')
    parser.add_argument('--threads', type=int, default=1, help='threads of the model')
    parser.add_argument('--config', default=DEFAULT_CONFIG, help='config of the model')
    parser.add_argument('--size', type=int, default=64, help='side of the frames that the model sees')
    parser.add_argument('--no-kill', action='store_true', help='leave out what the command does when it is killed')
    parser.add_argument('--json', type=Path, help='write the results to this file')
    return parser.parse_args()


def render(folder: Path, number: int) -> list[str]:
    """Render videos of 17 actions; return the paths of so many of them."""
    clips = -(-number // 17)
    root = render_toy_actions(folder, train_clips=clips, val_clips=1, zero_shot_clips=1)
    return sorted(map(str, root.rglob('*.mp4')))[:number]


def config_of(args: argparse.Namespace, folder: Path) -> Path:
    """The config with frames of another size, as a file."""
    cfg = load_config(args.config)
    for step in cfg.test_pipeline:
        if step['type'] == 'Resize':
            step['scale'] = (-1, args.size)
        elif step['type'] == 'CenterCrop':
            step['crop_size'] = args.size
    cfg.dump(folder / 'config.py')
    return folder / 'config.py'


def memory() -> float:
    """MiB of this process and those that it started, shared pages in parts."""
    total, left = 0, [os.getpid()]
    while left:
        process = Path('/proc') / str(left.pop())
        try:
            total += next(
                int(line.split()[1])
                for line in (process / 'smaps_rollup').read_text().splitlines()
                if line.startswith('Pss:')
            )
            left += map(int, (process / 'task' / process.name / 'children').read_text().split())
        except (OSError, StopIteration):  # it ended meanwhile
            continue
    return total / 1024


def seconds(call: Callable[[], object]) -> np.ndarray:
    """Wall time of a call, and processor time of this process and of those that ended meanwhile."""

    def clocks() -> np.ndarray:
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return np.array([time.perf_counter(), time.process_time(), ended.ru_utime + ended.ru_stime])

    start = clocks()
    call()
    gc.collect()  # what is left of a loader ends its processes
    return clocks() - start


def rates(recognizer: Recognizer, videos: Sequence[str], parts: int, folder: Path) -> dict[str, Any]:
    """Videos a second of each way, and the memory after each part."""
    inputs, workers = recognizer._inputs, recognizer.workers
    ready = [decode(inputs, video, number).samples for number, video in enumerate(videos[:16])]
    times = {way: np.zeros(3) for way in ('decoding alone', 'model alone', 'both')}
    used = []

    def model_alone(number: int) -> None:
        again = (Decoded(n, ready[n % len(ready)], '') for n in range(number))
        for _ in recognizer._recognised(videos[:1] * number, again):
            pass

    def both(part: Sequence[str], number: int) -> None:
        run = FilesRun(part, folder / f'{number}.jsonl')
        for position, _ in enumerate(run.recognise(recognizer)):
            if position == len(part) // 2:
                used.append(memory())

    model_alone(8)  # warms up
    size = -(-len(videos) // parts)
    for number, start in enumerate(range(0, len(videos), size)):
        part = videos[start : start + size]
        times['decoding alone'] += seconds(lambda part=part: list(decode_ahead(inputs, part, workers)))
        times['model alone'] += seconds(lambda part=part: model_alone(len(part)))
        times['both'] += seconds(lambda part=part, number=number: both(part, number))
    found = {way: len(videos) / wall for way, (wall, *_) in times.items()}
    halves = times['decoding alone'], times['model alone']
    wall = max(half[0] for half in halves) / times['both'][0]
    processors = max(max(half[1:]) for half in halves) / max(times['both'][1:])
    half = max(1, len(used) // 2)
    memories = dict(first_half_mib=max(used[:half]), second_half_mib=max(used[half:] or used))
    spent = {way: dict(zip(('wall', 'this', 'decoding'), map(float, row), strict=True)) for way, row in times.items()}
    return dict(rates=found, seconds=spent, share_by_wall=wall, share_by_processors=processors, memory=memories)


def kill_and_resume(folder: Path, videos: Sequence[str], args: argparse.Namespace) -> dict[str, Any]:
    """Kill the command when a third is done, go on, and hold what it wrote against the list."""
    (folder / 'list.txt').write_text('\n'.join(videos) + '\n')
    out = folder / 'killed.jsonl'
    code = 'from textxfer_mm.cli.main import main; main()'
    words = [
        'predict',
        folder / 'list.txt',
        '--labels',
        ','.join(LABELS),
        '--config',
        folder / 'config.py',
        '--json',
        out,
    ]
    command = [sys.executable, '-c', code, *map(str, words), '--workers', str(args.workers), '--resume']
    environment = dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS=str(args.threads))
    running = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    while running.poll() is None and (not out.is_file() or out.read_bytes().count(b'\n') < len(videos) // 3):
        time.sleep(0.02)
    running.kill()
    running.wait()
    kept = out.read_bytes()
    kept = kept[: kept.rfind(b'\n') + 1]
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    names = [json.loads(line)['video'] for line in out.read_text().splitlines()]
    return dict(
        kept=kept.count(b'\n'),
        kept_is_unchanged=out.read_bytes().startswith(kept),
        lost=len(set(videos) - set(names)),
        repeated=len(names) - len(set(names)),
    )


def main() -> None:
    """Measure, and print a line for each way."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        videos = render(folder / 'toys', args.videos)
        model = load_recognizer(load_config(config_of(args, folder)), class_names=LABELS)
        recognizer = Recognizer(model, workers=args.workers)
        found = rates(recognizer, videos, args.parts, folder)
        if not args.no_kill:
            found['killed'] = kill_and_resume(folder, videos, args)
    found |= dict(videos=len(videos), workers=args.workers, threads=args.threads)
    for way, rate in found['rates'].items():
        spent = found['seconds'][way]
        processors = f'{spent["this"]:.1f} s of the processor here, {spent["decoding"]:.1f} s of those that decode'
        print(f'{way:15} {rate:8.2f} videos a second; {processors}')
    memories = found['memory']
    shares = f'{found["share_by_wall"]:.1%} by wall time, {found["share_by_processors"]:.1%} by processor time'
    print(f'of the slower half: {shares}')
    print(
        f'{memories["first_half_mib"]:.0f} MiB in the first half, {memories["second_half_mib"]:.0f} MiB in the second'
    )
    if 'killed' in found:
        killed = found['killed']
        print(f'killed after {killed["kept"]}: {killed["lost"]} lost, {killed["repeated"]} repeated')
    if args.json:
        args.json.write_text(json.dumps(found, indent=2))


if __name__ == '__main__':
    main()
