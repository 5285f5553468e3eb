"""What training on several datasets adds to the training step of the same backbone with one linear layer.

Compares, on the same frames and in one process, step by step in turns:

* linear: ``MultiTrainMViT`` with ``I3DHead`` (400 classes), forward, loss and backward;
* ours: the same backbone, with the same weights, and ``MultiDatasetHead`` with all its parts, for Kinetics-400, Moments
  in Time and Something-Something V2 (400, 305 and 174 classes): three classifiers, six projections, the expander and
  the informative loss.

The optimiser step is part of neither. Results with their machine are in docs/multitrain_heads.md.

    python benchmarks/multi_dataset_step.py [--arch base] [--frames 16] [--videos 1] [--rounds 5] [--precision bf16]
        [--device cuda]
"""

import argparse
import json
import logging
from functools import partial
from pathlib import Path
from typing import Any

import torch
from harness.steps import compared, in_turns, machine_of, peak_on_gpu
from torch import Tensor, nn

import textxfer_mm.register  # noqa: F401  (registers the models)
from textxfer_mm.registry import MODELS

from mmaction.registry import MODELS as MMACTION_MODELS  # isort: skip
from mmaction.structures import ActionDataSample  # isort: skip

CLASSES = dict(k400=400, mit=305, sthv2=174)
WIDTH, SIZE = 768, 224
LIMIT = 1.05


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0], allow_abbrev=False)
    parser.add_argument('--arch', default='base', help="'base' (24 blocks) or 'small' (16, the released 16x4 models)")
    parser.add_argument('--frames', type=int, default=16, help='frames of a clip (T)')
    parser.add_argument('--videos', type=int, default=1, help='videos in a batch (N)')
    parser.add_argument('--rounds', type=int, default=5, help='timed steps of each of the two')
    parser.add_argument('--threads', type=int, default=1, help='CPU threads')
    parser.add_argument('--precision', choices=('fp32', 'bf16'), default='fp32')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--json', type=Path, help='write the result to this file')
    return parser.parse_args()


def backbone_of(arch: str, frames: int) -> nn.Module:
    """MultiTrain's backbone, initialised as for training."""
    backbone = MODELS.build(dict(type='MultiTrainMViT', arch=arch, spatial_size=SIZE, temporal_size=frames))
    backbone.init_weights()
    return backbone


def heads_of() -> dict[str, nn.Module]:
    """The two heads."""
    datasets = {name: dict(num_classes=count) for name, count in CLASSES.items()}
    linear = dict(type='I3DHead', num_classes=CLASSES['k400'], in_channels=WIDTH)
    ours = dict(type='MultiDatasetHead', in_channels=WIDTH, datasets=datasets)
    return dict(linear=MMACTION_MODELS.build(linear), ours=MODELS.build(ours))


def step(backbone: nn.Module, head: nn.Module, video: Tensor, samples: list[ActionDataSample], precision: str) -> None:
    """Forward, loss and backward on (N, 3, T, H, W)."""
    backbone.zero_grad(set_to_none=True)
    head.zero_grad(set_to_none=True)
    with torch.autocast(video.device.type, torch.bfloat16, enabled=precision == 'bf16'):
        losses = head.loss(backbone(video), samples)  # of a feature map (N, D, T', H', W')
    sum(value for name, value in losses.items() if 'loss' in name).backward()


def samples_of(videos: int, device: str) -> list[ActionDataSample]:
    """Videos of the three datasets by turns, as ``TaggedDataset`` gives them."""
    names = [list(CLASSES)[number % len(CLASSES)] for number in range(videos)]
    return [ActionDataSample(metainfo=dict(dataset_name=name, gt_index=1)).set_gt_label(1).to(device) for name in names]


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Time both in turns; on a GPU, peak memory as well, with the weights of both heads in it."""
    torch.manual_seed(0)
    backbone = backbone_of(args.arch, args.frames).to(args.device).train()
    video = torch.randn(args.videos, 3, args.frames, SIZE, SIZE, device=args.device)
    given = dict(video=video, samples=samples_of(args.videos, args.device), precision=args.precision)
    steps = {name: partial(step, backbone, head.to(args.device).train(), **given) for name, head in heads_of().items()}
    found = compared(in_turns(steps, args.rounds, args.device), 'linear', 'ours')
    if video.is_cuda:
        found |= {f'peak_{name}_bytes': peak_on_gpu(run, args.device) for name, run in steps.items()}
    return found


def main() -> None:
    """Measure and report; on a CPU the verdict is that of processor time, which other programs do not lengthen."""
    args = parse_args()
    logging.disable(logging.INFO)  # of the initialisation
    torch.set_num_threads(args.threads)
    result = {**vars(args), **measure(args), 'torch': torch.__version__, 'machine': machine_of(args.device)}
    clock = 'wall' if args.device.startswith('cuda') else 'cpu'
    verdict = 'within' if result[f'{clock}_ratio'] <= LIMIT else 'OVER'
    for each in ('cpu', 'wall'):
        print(
            f'{args.precision}, {each} time: linear {result[f"{each}_linear_s"]:.3f} s, ours '
            f'{result[f"{each}_ours_s"]:.3f} s, ratio {result[f"{each}_ratio"]:.4f} from '
            f'{result[f"{each}_ratio_min"]:.4f} to {result[f"{each}_ratio_max"]:.4f}'
        )
    print(f'{verdict} {LIMIT} ({clock} time)')
    for name in ('linear', 'ours') if 'peak_ours_bytes' in result else ():
        print(f'peak memory, {name}: {result[f"peak_{name}_bytes"] / 2**30:.2f} GiB')
    if args.json:
        args.json.write_text(json.dumps({key: value for key, value in result.items() if key != 'json'}, indent=2))


if __name__ == '__main__':
    main()
