"""What the recogniser adds to the training step of the bare vision tower.

Compares, on the same frames and in one process, step by step in turns:

* bare: the open_clip vision tower alone, forward and backward;
* ours: ``CLIPBackbone`` + ``TemporalTransformer`` + ``TextEmbeddingHead`` (400 classes), forward, loss and backward.

The optimiser step is part of neither. Peak memory is that of a process of its own for each of the two, above what the
process held before the model was built; on a GPU it is what tensors take there. Results with their machine are in
docs/benchmarks.md.

    python benchmarks/training_step.py [--arch ViT-B-16-quickgelu] [--frames 8] [--videos 1] [--rounds 9]
        [--device cuda]
"""

import argparse
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from harness.steps import compared, in_turns, machine_of, peak_on_gpu
from torch import Tensor

import textxfer_mm.register  # noqa: F401  (registers the models)
from textxfer_mm.registry import MODELS
from textxfer_mm.vision.towers import build_vision_tower

from mmaction.structures import ActionDataSample  # isort: skip

NUM_CLASSES = 400
LIMIT = 1.05


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0], allow_abbrev=False)
    parser.add_argument('--arch', default='ViT-B-16-quickgelu', help='open_clip model name')
    parser.add_argument('--frames', type=int, default=8, help='frames of a video (T)')
    parser.add_argument('--videos', type=int, default=1, help='videos in a batch (N)')
    parser.add_argument('--rounds', type=int, default=9, help='timed steps of each of the two')
    parser.add_argument('--threads', type=int, default=1, help='CPU threads')
    parser.add_argument('--precision', choices=('fp32', 'bf16'), nargs='+', default=['fp32', 'bf16'])
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--json', type=Path, help='write the results to this file')
    parser.add_argument('--memory-of', choices=('bare', 'ours'), help=argparse.SUPPRESS)
    return parser.parse_args()


def bare_step(args: argparse.Namespace) -> Callable[[Tensor], None]:
    """Return the forward and backward of the tower alone on (N, 3, T, H, W)."""
    _, _, tower = build_vision_tower(args.arch)
    tower.to(args.device).train()

    def step(video: Tensor) -> None:
        tower.zero_grad(set_to_none=True)
        features = tower(video.transpose(1, 2).flatten(0, 1))  # (N*T, D)
        features.float().sum().backward()

    return step


def our_step(args: argparse.Namespace) -> Callable[[Tensor], None]:
    """Return the forward, loss and backward of backbone, neck and head on (N, 3, T, H, W)."""
    backbone = MODELS.build(dict(type='CLIPBackbone', arch=args.arch))
    width = backbone.embed_dims
    names = [f'class {i}' for i in range(NUM_CLASSES)]
    classifier = dict(type='RandomClassifier', class_names=names, embed_dims=width)
    head = MODELS.build(dict(type='TextEmbeddingHead', in_channels=width, classifier=classifier))
    head.init_weights()
    model = torch.nn.ModuleDict(
        dict(backbone=backbone, neck=MODELS.build(dict(type='TemporalTransformer', in_channels=width)), head=head)
    )
    model.to(args.device).train()
    samples = [ActionDataSample().set_gt_label(i % NUM_CLASSES).to(args.device) for i in range(args.videos)]

    def step(video: Tensor) -> None:
        model.zero_grad(set_to_none=True)
        features, _ = model['neck'](model['backbone'](video))
        losses = model['head'].loss(features, samples)
        losses['loss_cls'].backward()

    return step


def run(step: Callable[[Tensor], None], video: Tensor, precision: str) -> None:
    """Do one step in a precision."""
    with torch.autocast(video.device.type, torch.bfloat16, enabled=precision == 'bf16'):
        step(video)


def make_video(args: argparse.Namespace) -> Tensor:
    """Return normalised noise (N, 3, T, 224, 224)."""
    return torch.randn(args.videos, 3, args.frames, 224, 224, generator=torch.Generator().manual_seed(0)).to(
        args.device
    )


def measure_time(args: argparse.Namespace, precision: str) -> dict[str, float]:
    """Time both steps in turns."""
    steps, video = {'bare': bare_step(args), 'ours': our_step(args)}, make_video(args)
    steps = {name: partial(run, step, video, precision) for name, step in steps.items()}
    times = in_turns(steps, args.rounds, args.device)
    return compared(times, 'bare', 'ours')


def measure_memory(args: argparse.Namespace) -> int:
    """Run two steps of one of the two, and return the peak in bytes above the start."""
    start = resident_kib('VmRSS')
    step = {'bare': bare_step, 'ours': our_step}[args.memory_of](args)
    video = make_video(args)
    once = partial(run, step, video, args.precision[0])
    once()
    if video.is_cuda:
        return peak_on_gpu(once, args.device)
    once()
    return 1024 * (resident_kib('VmHWM') - start)


def resident_kib(field: str) -> int:
    """Return ``VmRSS`` (now) or ``VmHWM`` (peak) of this process; Linux only, and unlike getrusage not inherited."""
    return int(Path('/proc/self/status').read_text().split(f'{field}:')[1].split()[0])


def memory_in_subprocess(which: str, precision: str) -> int:
    """Return the peak memory of one of the two, measured in a process of its own."""
    command = [sys.executable, *sys.argv, '--memory-of', which, '--precision', precision]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return int(output.strip().splitlines()[-1])


def main() -> None:
    """Measure and report."""
    args = parse_args()
    logging.disable(logging.INFO)  # of the initialisation
    torch.set_num_threads(args.threads)
    if args.memory_of:
        print(measure_memory(args))
        return
    results = {}
    for precision in args.precision:
        result = {**vars(args), **measure_time(args, precision), 'torch': torch.__version__}
        result['machine'] = machine_of(args.device)
        for which in ('bare', 'ours'):
            result[f'peak_{which}_mib'] = memory_in_subprocess(which, precision) / 2**20
        results[precision] = {key: value for key, value in result.items() if not isinstance(value, (Path, list))}
        clock = 'wall' if args.device.startswith('cuda') else 'cpu'
        verdict = 'within' if result[f'{clock}_ratio'] <= LIMIT else 'OVER'
        print(
            f'{precision}: bare {result["cpu_bare_s"]:.3f} s, ours {result["cpu_ours_s"]:.3f} s of processor time, '
            f'ratio {result["cpu_ratio"]:.4f} from {result["cpu_ratio_min"]:.4f} to {result["cpu_ratio_max"]:.4f}'
            f'; wall {result["wall_bare_s"]:.3f} s, {result["wall_ours_s"]:.3f} s, '
            f'ratio {result["wall_ratio"]:.4f}; {verdict} {LIMIT} ({clock} time); peak memory '
            f'{result["peak_bare_mib"]:.0f} MiB, {result["peak_ours_mib"]:.0f} MiB',
            flush=True,
        )
    if args.json:
        args.json.write_text(json.dumps(results, indent=2))


if __name__ == '__main__':
    main()
