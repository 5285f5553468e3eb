"""Times the rendering of scenes and the wording of captions: ``python benchmarks/rendering.py [--processes 1 2]``.

Stills and clips of 8 frames a second, as the datasets render them without a cache, by some processes at once; each does
as many as it can in the time given. The last column is the ratio to 500 images a second.
"""

import argparse
import multiprocessing
import os
import time

os.environ.setdefault('OMP_NUM_THREADS', '1')  # read when NumPy and OpenCV are imported

import cv2
import numpy as np

from textxfer_mm.datasets.rendered_scenes import PLAIN, SHIFTED, caption, render_clip, render_still, sample_captioned

FRAMES, WANTED = 8, 500
#: What is rendered: its style, and the frames that it has.
KINDS = dict(stills=(PLAIN, 1), clips=(SHIFTED, FRAMES))


def render_one(kind: str, seed: list[int], size: int) -> np.ndarray:
    """Draw a scene and its caption, and render it: RGB frames (T, H, W, 3)."""
    rng = np.random.default_rng(seed)
    scene = sample_captioned(rng)
    caption(scene, rng)
    look, frames = KINDS[kind]
    if frames == 1:
        return render_still(scene, rng, size=size, look=look)[None]
    return render_clip(scene, rng, frames=frames, size=size, look=look)


def count(kind: str, worker: int, seconds: float, size: int) -> tuple[int, float]:
    """How many one process renders in at least some seconds, and the seconds it took."""
    cv2.setNumThreads(0)
    for index in range(8):
        render_one(kind, [1, worker, index], size)
    done, start = 0, time.perf_counter()
    while (took := time.perf_counter() - start) < seconds:
        render_one(kind, [0, worker, done], size)
        done += 1
    return done, took


def measure(kind: str, processes: int, seconds: float, size: int) -> float:
    """Stills or clips a second of some processes together."""
    context = multiprocessing.get_context('spawn')
    together = context.Barrier(processes)  # all are there before a clock starts
    with context.Pool(processes, initializer=together.wait) as pool:
        found = pool.starmap(count, [(kind, worker, seconds, size) for worker in range(processes)], chunksize=1)
    return sum(done / took for done, took in found)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument('--seconds', type=float, default=5.0, help='for each line of the table')
    parser.add_argument('--processes', type=int, nargs='+', default=[1, 2])
    parser.add_argument('--size', type=int, default=72, help='pixels; the shipped configs crop 64 from 72')
    args = parser.parse_args()
    print(f'{"":8}{"processes":>10}{"a second":>10}{"images/s":>10}{f"x {WANTED}/s":>10}')
    for kind, (_, frames) in KINDS.items():
        for processes in args.processes:
            rate = measure(kind, processes, args.seconds, args.size)
            images = rate * frames
            print(f'{kind:8}{processes:10}{rate:10.0f}{images:10.0f}{images / WANTED:10.1f}', flush=True)


if __name__ == '__main__':
    main()
