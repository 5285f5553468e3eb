"""An exported model by onnxruntime against the same model by PyTorch: ``python benchmarks/exported.py [--threads 1]``.

On the same random frames, in one process and in turns, with as many threads: PyTorch eager from pixels to logits, and
the exported file. Weights are random, which changes no time. Results with their machine are in docs/export.md.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import textxfer_mm.register  # noqa: F401
from textxfer_mm.apis.exporting.export import export_model
from textxfer_mm.apis.exporting.graphs import ExportedGraph
from textxfer_mm.apis.inference import load_recognizer
from textxfer_mm.apis.model_configs import clip_zero_shot_config
from textxfer_mm.exported.model import ExportedModel

LABELS = ['waving', 'clapping hands', 'running', 'swimming']


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument('--archs', nargs='+', default=['ViT-B-32-quickgelu', 'RN50-quickgelu'], help='CLIP models')
    parser.add_argument('--videos', type=int, default=1, help='videos of 8 frames a batch')
    parser.add_argument('--threads', type=int, default=1, help='threads of each')
    parser.add_argument('--rounds', type=int, default=7, help='how often each is timed')
    return parser.parse_args()


def seconds_of(call: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(arch: str, videos: int, threads: int, rounds: int, folder: Path) -> tuple[float, float, float, float]:
    """Time both.

    Returns:
        Median seconds in PyTorch and in onnxruntime, the median of the ratios of rounds, and the largest difference.
    """
    torch.set_num_threads(threads)
    model = load_recognizer(clip_zero_shot_config(arch, None, LABELS), device='cpu')
    done = export_model(model, folder / f'{arch}.onnx')
    graph, exported = ExportedGraph(model).eval(), ExportedModel(done.file, threads=threads)
    frames = np.random.default_rng(0).integers(0, 256, (videos, *done.shape), dtype=np.uint8)
    rows = torch.from_numpy(exported.classes.rows)

    @torch.inference_mode()
    def eager() -> np.ndarray:
        return graph(torch.from_numpy(frames), rows).numpy()

    difference = float(np.abs(eager() - exported.logits(frames)).max())  # and both are warm
    times = [(seconds_of(eager), seconds_of(lambda: exported.logits(frames))) for _ in range(rounds)]
    ours, theirs = (statistics.median(column) for column in zip(*times, strict=True))
    return ours, theirs, statistics.median(file / torch_ for torch_, file in times), difference


def main() -> None:
    """Measure and print a table."""
    args = parse_args()
    print(
        '| model | PyTorch, s | onnxruntime, s | ratio, median | largest difference of logits |\n|---|---|---|---|---|'
    )
    with tempfile.TemporaryDirectory() as folder:
        for arch in args.archs:
            eager, file, ratio, difference = measure(arch, args.videos, args.threads, args.rounds, Path(folder))
            print(f'| {arch} | {eager:.3f} | {file:.3f} | **{ratio:.2f}** | {difference:.1e} |', flush=True)


if __name__ == '__main__':
    main()
