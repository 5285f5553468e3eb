"""What a training step costs whose classes are encoded by a trained text tower, from 100 to 22,000 of them.

Each step encodes the texts of all K classes, 24 tokens each, with a text transformer of 4 layers and width 128 (CLIP's
vocabulary), some classes at a time with recomputation, and classifies 64 images among them: forward, loss, backward and
the step of AdamW. The images are features already, so the image side is no part of it. Each K is measured in a process
of its own, fewer classes over more steps, so that what else a machine does in the meantime meets all of them alike.
Results with their machine are in docs/benchmarks.md.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/many_classes.py [--classes 100 1000 10000 22000] [--chunk 128]
        [--steps 3] [--threads 2] [--device cuda] [--precision bf16]

On a machine that does other work too, threads that wait actively count as processor time: hence the variable.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness.steps import machine_of, peak_on_gpu, seconds

import textxfer_mm.register  # noqa: F401  (registers the models)
from textxfer_mm.models.heads import UnifiedContrastiveHead

from mmaction.structures import ActionDataSample  # isort: skip

TOKENS, WIDTH, LAYERS, IMAGES = 24, 128, 4, 64
#: What a step with the most classes may take, and by how much the time a class may vary from 1,000 classes on.
MOST_BYTES, MOST_SECONDS, MOST_VARIATION = 8 * 2**30, 90.0, 0.2
#: The most steps with few classes.
MOST_STEPS = 50
#: Words of one token each.
WORDS = (  # noqa: SIM905  (a list of so many words is no easier to read)
    'red green blue black white small large old young long wide round flat soft hard sweet wild tame dark light '
    'dog cat horse bird fish tree leaf flower stone river hill house door wheel chair table glass bottle coat shoe '
    'made used found worn kept eaten grown seen called known for with from under over near and or of in'
).split()
ARCH = dict(
    embed_dim=WIDTH,
    vision_cfg=dict(image_size=32, layers=1, width=64, head_width=32, patch_size=16),
    text_cfg=dict(context_length=TOKENS, vocab_size=49408, width=WIDTH, heads=2, layers=LAYERS),
)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0], allow_abbrev=False)
    parser.add_argument('--classes', type=int, nargs='+', default=[100, 1000, 10000, 22000], help='K, one or several')
    parser.add_argument('--chunk', type=int, default=128, help='classes of a forward pass; 0 encodes all at once')
    parser.add_argument('--steps', type=int, default=3, help='timed steps with the most classes; one more warms up')
    parser.add_argument('--threads', type=int, default=2, help='CPU threads')
    parser.add_argument('--precision', choices=('fp32', 'bf16'), default='fp32')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--num-negatives', type=int, help='classes beside those of the batch (approximate)')
    parser.add_argument('--refresh-interval', type=int, help='steps for which the other rows are kept (approximate)')
    parser.add_argument('--json', type=Path, help='write the results to this file')
    parser.add_argument('--single', action='store_true', help=argparse.SUPPRESS)
    return parser.parse_args()


def class_texts(number: int) -> list[str]:
    """Different texts that CLIP's tokenizer reads as 24 tokens, start and end among them."""
    rng = np.random.default_rng(0)
    texts: dict[str, None] = {}
    while len(texts) < number:
        texts[' '.join(rng.choice(WORDS, TOKENS - 2))] = None
    return list(texts)


def build_head(args: argparse.Namespace, number: int) -> UnifiedContrastiveHead:
    """The head with so many classes, its tower drawn."""
    torch.manual_seed(0)
    encoder = dict(type='CLIPTextEncoder', arch=ARCH)
    classifier = dict(type='TextClassifier', class_names=class_texts(number), templates=['{}'], encoder=encoder)
    objective = dict(num_negatives=args.num_negatives, refresh_interval=args.refresh_interval)
    head = UnifiedContrastiveHead(WIDTH, classifier, text_batch_size=args.chunk or None, objective=objective)
    head.init_weights()
    return head


def measure(args: argparse.Namespace, number: int) -> dict[str, Any]:
    """Wall and processor seconds of each step at so many classes, and the peak memory of this process in bytes."""
    head = build_head(args, number).to(args.device)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-4, fused=True)
    rng = torch.Generator().manual_seed(0)
    features = torch.randn(IMAGES, WIDTH, generator=rng).to(args.device)
    labels = torch.randint(0, number, (IMAGES,), generator=rng).tolist()
    samples = [ActionDataSample().set_gt_label(label).to(args.device) for label in labels]

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(features.device.type, torch.bfloat16, enabled=args.precision == 'bf16'):
            losses = head.loss(features, samples)
        (losses['loss_cls'] + losses['loss_con']).backward()
        optimizer.step()

    times = [seconds(step, args.device) for _ in range(args.steps + 1)][1:]  # the first warms up
    wall, cpu = (statistics.median(one[clock] for one in times) for clock in ('wall', 'cpu'))
    peak = peak_on_gpu(step, args.device) if features.is_cuda else 1024 * peak_kib()
    return dict(classes=number, wall_s=wall, cpu_s=cpu, steps=args.steps, peak_bytes=peak)


def peak_kib() -> int:
    """The most memory that this process has held; Linux only, and unlike getrusage not inherited."""
    return int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])


def in_subprocess(number: int, steps: int) -> dict[str, Any]:
    """Measure so many classes in a process of its own."""
    command = [sys.executable, *sys.argv, '--classes', str(number), '--steps', str(steps), '--single']
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def verdict(results: list[dict[str, Any]]) -> str:
    """What the limits say of the results; they were set for a CPU."""
    most = max(results, key=lambda result: result['classes'])
    each = [result['cpu_s'] / result['classes'] for result in results if result['classes'] >= 1000]
    spread = max(each) / min(each) - 1 if each else 0.0
    met = most['peak_bytes'] <= MOST_BYTES and most['wall_s'] <= MOST_SECONDS and spread <= MOST_VARIATION
    return (
        f'{"within" if met else "OVER"} the limits: {most["classes"]} classes in {most["wall_s"]:.1f} s (at most '
        f'{MOST_SECONDS:.0f}) and {most["peak_bytes"] / 2**30:.2f} GiB (at most {MOST_BYTES / 2**30:.0f}); processor '
        f'time a class from 1,000 classes on varies by {100 * spread:.0f} % (at most {100 * MOST_VARIATION:.0f} %)'
    )


def main() -> None:
    """Measure and report."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    if args.single:
        print(json.dumps(measure(args, args.classes[0])))
        return
    results = []
    for number in args.classes:
        found = in_subprocess(number, min(math.ceil(args.steps * max(args.classes) / number), MOST_STEPS))
        results.append(found)
        print(
            f'{number:6d} classes: {found["wall_s"]:8.3f} s, {found["cpu_s"]:8.3f} s of processor time, '
            f'{1000 * found["cpu_s"] / number:.3f} ms a class, {found["steps"]} steps; peak '
            f'{found["peak_bytes"] / 2**20:.0f} MiB',
            flush=True,
        )
    print(verdict(results))
    if args.json:
        given = {key: value for key, value in vars(args).items() if key not in ('json', 'single')}
        settings = {**given, 'torch': torch.__version__, 'machine': machine_of(args.device)}
        args.json.write_text(json.dumps(dict(settings=settings, results=results), indent=2))


if __name__ == '__main__':
    main()
