"""Our training step against the authors' form of it: the same model, weights and frames, in one process and in turns.

* ours: ``CLIPBackbone`` + ``TemporalTransformer`` + ``TextEmbeddingHead`` (400 classes), as the configs build them;
* authors': the same modules in the form of their released code, rewritten: tokens first (L, N, D), attention as
  explicit products and softmax (no fused kernel), LayerNorm in float32, and in the vision tower activation
  checkpointing of each block with attention and MLP checkpointed once more inside it, so that they are computed three
  times. What of this is known, and what is our reading, docs/benchmarks.md says.

A step is forward, loss and backward; the optimiser is part of neither. Both must give the same loss and gradients.
Results with their machine are in docs/benchmarks.md.

    python benchmarks/authors_step.py [--device cuda] [--videos 1] [--frames 8] [--rounds 3] [--threads 2] [--json FILE]
"""

import argparse
import json
import logging
import statistics
import warnings
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import torch
from harness.steps import machine_of, peak_on_gpu, seconds
from mmengine.config import Config
from open_clip.transformer import ResidualAttentionBlock
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

import textxfer_mm.register  # noqa: F401  (registers the models)
from textxfer_mm.analysis.complexity import count_complexity
from textxfer_mm.files import write_text
from textxfer_mm.registry import MODELS

from mmaction.structures import ActionDataSample  # isort: skip

NUM_CLASSES = 400
FORMS = ("authors'", 'ours')
#: What is compared: the precision of the authors' form, that of ours, and the ratio that is asked for. Their PyTorch
#: (1.8) has mixed precision on GPUs alone, so that on a CPU ours in bf16 is held against their fp32.
RATIOS = (('fp32', 'fp32', 1.5), ('fp32', 'bf16', 4.0), ('bf16', 'bf16', None))
#: Dense bf16 operations of the matrix units in 10^12 a second, by a part of the GPU's name (vendor's data sheets).
BF16_PEAKS = {'H200': 989.0, 'H100 PCIe': 756.0, 'H100': 989.0, 'A100': 312.0, 'L40S': 362.0, 'L4': 121.0}


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0], allow_abbrev=False)
    parser.add_argument('--arch', default='ViT-B-16-quickgelu', help='open_clip model name of a ViT')
    parser.add_argument('--frames', type=int, default=8, help='frames of a video (T)')
    parser.add_argument('--videos', type=int, default=1, help='videos in a batch (N)')
    parser.add_argument('--rounds', type=int, default=3, help='timed steps of each')
    parser.add_argument('--threads', type=int, default=2, help='CPU threads')
    parser.add_argument('--precision', choices=('fp32', 'bf16'), nargs='+', default=['fp32', 'bf16'])
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--peak-tflops', type=float, help="the GPU's dense bf16 peak, where it is not in the table")
    parser.add_argument('--json', type=Path, help='write the results to this file')
    return parser.parse_args()


class AuthorsBlock(nn.Module):
    """A block of CLIP in the authors' form, on tokens first (L, N, D), with the weights of an open_clip block."""

    def __init__(self, block: ResidualAttentionBlock, nested: bool) -> None:
        super().__init__()
        self.block = block
        self.run = partial(checkpoint, use_reentrant=True) if nested else lambda part, x: part(x)

    def attention(self, x: Tensor) -> Tensor:
        """Self-attention by explicit products: (L, N, D) to (L, N, D)."""
        attn = self.block.attn
        length, batch, width = x.shape
        head = width // attn.num_heads
        qkv = functional.linear(float_norm(self.block.ln_1, x), attn.in_proj_weight, attn.in_proj_bias)
        q, k, v = (y.contiguous().view(length, -1, head).transpose(0, 1) for y in qkv.chunk(3, dim=-1))
        weights = torch.bmm(q * head**-0.5, k.transpose(1, 2)).softmax(dim=-1)  # (N*heads, L, L)
        out = torch.bmm(weights, v).transpose(0, 1).contiguous().view(length, batch, width)
        return attn.out_proj(out)

    def mlp(self, x: Tensor) -> Tensor:
        """The MLP behind its norm."""
        return self.block.mlp(float_norm(self.block.ln_2, x))

    def residuals(self, x: Tensor) -> Tensor:
        """The whole block."""
        x = x + self.run(self.attention, x)
        return x + self.run(self.mlp, x)

    def forward(self, x: Tensor) -> Tensor:
        """Run the block, checkpointed as a whole as well."""
        return self.run(self.residuals, x)


class AuthorsTransformer(nn.Module):
    """Blocks in the authors' form with the weights of an open_clip transformer: (N, L, D) to (N, L, D)."""

    def __init__(self, transformer: nn.Module, nested: bool) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(AuthorsBlock(block, nested) for block in transformer.resblocks))

    def forward(self, x: Tensor) -> Tensor:
        """Run all blocks."""
        return self.blocks(x.permute(1, 0, 2)).permute(1, 0, 2)


def float_norm(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """CLIP's LayerNorm: in float32, returned in the type of its input."""
    return functional.layer_norm(x.float(), norm.normalized_shape, norm.weight, norm.bias, norm.eps).type(x.dtype)


def config_of(args: argparse.Namespace) -> Config:
    """The model of the Text4Vis configs with rows at random for a classifier."""
    width = MODELS.build(dict(type='CLIPBackbone', arch=args.arch)).embed_dims
    names = [f'class {i}' for i in range(NUM_CLASSES)]
    head = dict(
        type='TextEmbeddingHead',
        in_channels=width,
        classifier=dict(type='RandomClassifier', class_names=names, embed_dims=width),
    )
    neck = dict(type='TemporalTransformer', in_channels=width)
    backbone = dict(type='CLIPBackbone', arch=args.arch)
    return Config(dict(model=dict(type='Recognizer3D', backbone=backbone, neck=neck, cls_head=head)))


def build_models(cfg: Config, device: str) -> dict[str, nn.Module]:
    """Both forms, with equal weights of their own."""
    torch.manual_seed(0)
    parts = {part: MODELS.build(cfg.model[part]) for part in ('backbone', 'neck', 'cls_head')}
    ours = nn.ModuleDict(parts).train()
    ours['cls_head'].init_weights()
    authors = deepcopy(ours)
    authors['backbone'].visual.transformer = AuthorsTransformer(authors['backbone'].visual.transformer, nested=True)
    authors['neck'].layers.transformer = AuthorsTransformer(authors['neck'].layers.transformer, nested=False)
    return {"authors'": authors.to(device), 'ours': ours.to(device)}


def step(model: nn.ModuleDict, video: Tensor, precision: str) -> Tensor:
    """Forward, loss and backward of one batch (N, 3, T, H, W)."""
    model.zero_grad(set_to_none=True)
    samples = [ActionDataSample().set_gt_label(i % NUM_CLASSES).to(video.device) for i in range(len(video))]
    with torch.autocast(video.device.type, torch.bfloat16, enabled=precision == 'bf16'):
        features, _ = model['neck'](model['backbone'](video))
        loss = model['cls_head'].loss(features, samples)['loss_cls']
    loss.backward()
    return loss.detach()


def check(models: dict[str, nn.ModuleDict], video: Tensor, precision: str) -> dict[str, float]:
    """Compare loss and gradients of the two forms on one step, which warms up as well."""
    losses = {form: step(models[form], video, precision).item() for form in FORMS}
    gradients = [
        torch.cat([p.grad.flatten().float() for p in model.parameters() if p.grad is not None])
        for model in (models[form] for form in FORMS)
    ]
    difference = abs(losses["authors'"] - losses['ours'])
    error = ((gradients[0] - gradients[1]).norm() / gradients[1].norm()).item()
    limits = dict(fp32=(1e-4, 1e-3), bf16=(5e-2, 1e-1))[precision]
    if difference > limits[0] * max(1.0, losses['ours']) or error > limits[1]:
        raise SystemExit(f'{precision}: the forms differ: losses {losses}, gradients by {error:.2e} of their norm')
    return dict(loss=losses['ours'], loss_difference=difference, gradient_difference=error)


def measure(models: dict[str, nn.ModuleDict], video: Tensor, args: argparse.Namespace) -> dict[str, Any]:
    """Time all forms and precisions in turns; the order changes from round to round."""
    runs = [(form, precision) for precision in args.precision for form in FORMS]
    times: dict[tuple[str, str], list[dict[str, float]]] = {run: [] for run in runs}
    for i in range(args.rounds):
        for run in runs[:: -1 if i % 2 else 1]:
            times[run].append(seconds(partial(step, models[run[0]], video, run[1]), args.device))
    return {run: {clock: [t[clock] for t in each] for clock in ('wall', 'cpu')} for run, each in times.items()}


def memory(models: dict[str, nn.ModuleDict], video: Tensor, args: argparse.Namespace) -> dict[str, int]:
    """Peak memory on a GPU in bytes of each form and precision, the weights of that form alone beside it."""
    found = {}
    for form in FORMS if video.is_cuda else ():
        for model in models.values():
            model.zero_grad(set_to_none=True)
            model.cpu()
        model = models[form].to(args.device)
        for precision in args.precision:
            found[f'{form} {precision}'] = peak_on_gpu(partial(step, model, video, precision), args.device)
    return found


def ratios(times: dict[tuple[str, str], Any], clock: str) -> list[dict[str, Any]]:
    """How many times faster ours is, as the median of the ratios of each round."""
    result = []
    for theirs, our, wanted in RATIOS:
        if ("authors'", theirs) in times and ('ours', our) in times:
            pairs = zip(times["authors'", theirs][clock], times['ours', our][clock], strict=True)
            values = sorted(a / b for a, b in pairs)
            name = f"authors' {theirs} / ours {our}"
            result.append(dict(name=name, wanted=wanted, median=statistics.median(values), all=values))
    return result


def main() -> None:
    """Measure and report."""
    args = parse_args()
    logging.disable(logging.INFO)
    warnings.filterwarnings(
        'ignore', message='None of the inputs have requires_grad'
    )  # the inner of nested checkpoints
    torch.set_num_threads(args.threads)
    console = Console()
    cfg = config_of(args)
    models = build_models(cfg, args.device)
    size = models['ours']['backbone'].visual.image_size
    generator = torch.Generator().manual_seed(0)
    video = torch.randn(args.videos, 3, args.frames, *size, generator=generator).to(args.device)
    checks = {precision: check(models, video, precision) for precision in args.precision}
    for precision, values in checks.items():
        console.print(f'{precision}: ' + ', '.join(f'{name} {value:.3g}' for name, value in values.items()))
    times = measure(models, video, args)
    operations = 3 * 2 * args.videos * count_complexity(cfg, shape=(3, args.frames, *size)).total.macs
    console.print(table_of(times, operations, peak_of(args)))
    peaks = memory(models, video, args)
    for run, peak in peaks.items():
        console.print(f'peak memory, {run}: {peak / 2**30:.2f} GiB', highlight=False)
    for clock in ('wall',) if video.is_cuda else ('wall', 'cpu'):
        for ratio in ratios(times, clock):
            spread = f'{ratio["all"][0]:.2f} to {ratio["all"][-1]:.2f}'
            wanted = '' if ratio['wanted'] is None else f', wanted {ratio["wanted"]}'
            console.print(f'{clock} time, {ratio["name"]}: {ratio["median"]:.2f} ({spread}){wanted}', highlight=False)
    if args.json:
        machine = machine_of(args.device)
        record = dict(
            settings={**vars(args), 'json': str(args.json), 'torch': torch.__version__, 'machine': machine},
            checks=checks,
            seconds={f'{form} {precision}': each for (form, precision), each in times.items()},
            ratios={clock: ratios(times, clock) for clock in ('wall', 'cpu')},
            operations=operations,
            peak_bytes=peaks,
        )
        write_text(args.json, json.dumps(record, indent=2) + '\n')


def peak_of(args: argparse.Namespace) -> float | None:
    """The bf16 peak of the GPU's matrix units in operations a second; None on CPUs and unknown GPUs."""
    if args.peak_tflops:
        return 1e12 * args.peak_tflops
    name = machine_of(args.device) if args.device.startswith('cuda') else ''
    return next((1e12 * peak for part, peak in BF16_PEAKS.items() if part in name), None)


def table_of(times: dict[tuple[str, str], Any], operations: int, peak: float | None) -> Table:
    """Median times; the rate of useful operations (nothing computed twice), and its share of the peak."""
    table = Table()
    for column in ('form', 'precision', 'wall, s', 'processor, s', 'useful TFLOP/s', '% of bf16 peak'):
        table.add_column(column, justify='left' if column in ('form', 'precision') else 'right')
    for (form, precision), each in times.items():
        wall = statistics.median(each['wall'])
        rate = operations / wall
        share = f'{100 * rate / peak:.1f}' if peak and precision == 'bf16' else ''
        table.add_row(
            form, precision, f'{wall:.3f}', f'{statistics.median(each["cpu"]):.3f}', f'{rate / 1e12:.3f}', share
        )
    return table


if __name__ == '__main__':
    main()
