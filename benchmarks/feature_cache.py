"""What an epoch costs from the feature cache, against the same epoch end to end, with a frozen tower.

Synthetic videos, a frozen tower with random weights, and two models above it: the mean over frames (TAP), and the
temporal transformer (T-Trans, 6 layers). Both ways run MMEngine's runner over the same list in one process, without
data workers, so that processor time is all of it. The logits of the two must agree to 1e-5, relative where they exceed
1.

Wall and processor seconds of an epoch; the median over the epochs, the first of which is left out where there are more.
Results with their machine are in docs/feature_cache.md.

    python benchmarks/feature_cache.py [--videos 32] [--epochs 2] [--cached-epochs 20] [--arch ViT-B-32] [--json FILE]
"""

import argparse
import copy
import json
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from decoding import texture
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn
from video_kinds import encode

import textxfer_mm.register  # noqa: F401
from textxfer_mm.apis.feature_cache import config_on_features, write_features
from textxfer_mm.engine.frameworks import enter_scope
from textxfer_mm.registry import DATASETS, MODELS
from textxfer_mm.text.clip_arch import resolve_arch

CLASSES, FRAMES = 16, 8


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0], allow_abbrev=False)
    parser.add_argument('--videos', type=int, default=32, help='how many, at least two')
    parser.add_argument('--epochs', type=int, default=2, help='epochs end to end')
    parser.add_argument('--cached-epochs', type=int, default=20, help='epochs from the cache')
    parser.add_argument('--batch-size', type=int, default=8, help='videos a step, of both ways')
    parser.add_argument('--arch', default='ViT-B-32', help='model of open_clip, or a JSON file of its settings')
    parser.add_argument('--json', type=Path, help='write the results to this file')
    return parser.parse_args()


def write_videos(folder: Path, number: int) -> Path:
    """Encode short pieces of moving texture; return their list."""
    frames = list(texture())
    lines = []
    for n in range(number):
        start = n * 3 % (len(frames) - 50)
        encode(folder / f'{n}.mp4', 'h264_mp4', islice(frames, start, start + 50))
        lines.append(f'{n}.mp4 {n % CLASSES}\n')
    (folder / 'list.txt').write_text(''.join(lines))
    return folder / 'list.txt'


def config_of(videos: Path, arch: Any, batch_size: int, neck: str) -> Config:
    """A frozen tower, a neck and a head with a projection, on a list of videos."""
    _, settings = resolve_arch(arch)
    width, size = settings['embed_dim'], settings['vision_cfg']['image_size']
    pipeline = [
        dict(type='TolerantDecordInit'),
        dict(type='UniformSample', clip_len=FRAMES, test_mode=True),
        dict(type='TolerantDecordDecode'),
        dict(type='Resize', scale=(-1, size)),
        dict(type='CenterCrop', crop_size=size),
        dict(type='FormatShape', input_format='NCTHW'),
        dict(type='PackActionInputs'),
    ]
    dataset = dict(type='VideoDataset', ann_file=str(videos), pipeline=pipeline)
    dataset['data_prefix'] = dict(video=str(videos.parent))
    loader = dict(batch_size=batch_size, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True))
    classifier = dict(type='RandomClassifier', class_names=[f'class {n}' for n in range(CLASSES)], embed_dims=width)
    model = dict(
        type='Recognizer3D',
        backbone=dict(type='CLIPBackbone', arch=arch, frozen=True),
        neck=dict(type=neck, in_channels=width) if neck == 'TemporalTransformer' else dict(type=neck),
        cls_head=dict(type='TextEmbeddingHead', in_channels=width, projection='linear', classifier=classifier),
        data_preprocessor=dict(type='ActionDataPreprocessor', mean=[127.5] * 3, std=[127.5] * 3, format_shape='NCTHW'),
    )
    return Config(
        dict(
            default_scope='mmaction',
            model=model,
            train_dataloader=dict(loader, dataset=dataset),
            test_pipeline=pipeline,
            train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=1),
            optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-4)),
            default_hooks=dict(checkpoint=None, logger=dict(type='LoggerHook', interval=1000)),
            randomness=dict(seed=0),
            log_level='ERROR',
        )
    )


class Stopwatch(Hook):
    """Wall and processor seconds of each epoch."""

    def __init__(self) -> None:
        self.epochs: list[tuple[float, float]] = []

    def before_train_epoch(self, runner: Runner) -> None:
        """Start."""
        self._start = time.perf_counter(), time.process_time()

    def after_train_epoch(self, runner: Runner) -> None:
        """Stop."""
        wall, processor = self._start
        self.epochs.append((time.perf_counter() - wall, time.process_time() - processor))

    def medians(self) -> list[float]:
        """The medians of both."""
        later = self.epochs[1:] or self.epochs
        return [statistics.median(column) for column in zip(*later, strict=True)]


def train(cfg: Config, work_dir: Path, epochs: int) -> list[float]:
    """Train, and return the seconds of an epoch."""
    cfg = copy.deepcopy(cfg)
    cfg.work_dir, cfg.train_cfg.max_epochs = str(work_dir), epochs
    runner, watch = Runner.from_cfg(cfg), Stopwatch()
    runner.register_hook(watch)
    runner.train()
    return watch.medians()


def logits_of(model: nn.Module, dataset: Any) -> torch.Tensor:
    """Logits (n, K) of the first few samples."""
    batch = pseudo_collate([dataset[n] for n in range(min(4, len(dataset)))])
    with torch.no_grad():
        data = model.data_preprocessor(batch)
        return model.cls_head(model.extract_feat(data['inputs'])[0])


def largest_difference(whole: Config, cached: Config) -> float:
    """The largest difference of logits, relative where these exceed 1, of models with the same weights."""
    enter_scope(whole)
    torch.manual_seed(0)
    one = MODELS.build(copy.deepcopy(whole.model)).eval()
    one.load_state_dict(
        {f'backbone.{name}': weight for name, weight in backbone_as_written(whole).items()}, strict=False
    )
    two = MODELS.build(copy.deepcopy(cached.model)).eval()
    two.load_state_dict({name: w for name, w in one.state_dict().items() if not name.startswith('backbone.')})
    wanted = logits_of(one, DATASETS.build(whole.train_dataloader.dataset))
    found = logits_of(two, DATASETS.build(dict(cached.train_dataloader.dataset, test_mode=True)))
    return float(((found - wanted).abs() / wanted.abs().clamp(min=1)).max())


def backbone_as_written(cfg: Config) -> dict[str, torch.Tensor]:
    """The weights with which features are written: those that training starts from."""
    from textxfer_mm.apis.starting_model import starting_backbone

    return starting_backbone(cfg).backbone.state_dict()


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Seconds of both ways under both necks."""
    arch = json.loads(Path(args.arch).read_text()) if args.arch.endswith('.json') else args.arch
    videos = write_videos(folder, args.videos)
    found: dict[str, Any] = dict(videos=args.videos, arch=args.arch, threads=torch.get_num_threads(), epochs={})
    for neck in ('TemporalAveragePool', 'TemporalTransformer'):
        whole, out = config_of(videos, arch, args.batch_size, neck), folder / 'features'
        start = time.perf_counter(), time.process_time()
        write_features(whole, out, splits=('train',), device='cpu')  # the second time they are there
        if 'writing' not in found:
            found['writing'] = [time.perf_counter() - start[0], time.process_time() - start[1]]
            found['megabytes'] = sum(file.stat().st_size for file in out.rglob('*.safetensors')) / 1e6
        cached = config_on_features(whole, out)
        difference = largest_difference(whole, cached)
        if difference > 1e-5:
            raise SystemExit(f'The logits differ by {difference:.2g}.')
        ways = dict(
            videos=train(whole, folder / f'{neck}_whole', args.epochs),
            cache=train(cached, folder / f'{neck}_cached', args.cached_epochs),
        )
        found['epochs'][neck] = dict(ways, difference=difference)
    return found


def main() -> None:
    """Measure, and print a line for each neck."""
    args = parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(args, Path(folder))
    wall, processor = found['writing']
    print(f'{found["videos"]} videos, {found["arch"]}, {found["threads"]} threads, {found["megabytes"]:.2f} MB')
    print(f'writing once: {wall:.2f} s, {processor:.2f} s of the processors')
    for neck, ways in found['epochs'].items():
        for name in ('videos', 'cache'):
            print(f'{neck:20} {name:7} {ways[name][0]:9.4f} s, {ways[name][1]:9.4f} s of the processors')
        ratios = [one / two for one, two in zip(ways['videos'], ways['cache'], strict=True)]
        print(f'{neck:20} {ratios[0]:.0f} times, {ratios[1]:.0f} of the processors; logits {ways["difference"]:.1e}')
    if args.json:
        args.json.write_text(json.dumps(found, indent=2))


if __name__ == '__main__':
    main()
