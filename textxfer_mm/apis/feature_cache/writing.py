"""Writing the features of the lists of a config, shard by shard: several processes share the shards."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor

from textxfer_mm import register_all_modules
from textxfer_mm.apis.encoding import Videos, decoded, label_tensor
from textxfer_mm.apis.feature_cache.copies import Copies, digest_of_video
from textxfer_mm.apis.feature_cache.encoder import FrameEncoder
from textxfer_mm.apis.inference import choose_device
from textxfer_mm.apis.list_loaders import each_once, loader_of_phase
from textxfer_mm.datasets.transforms_video import with_exact_decoding
from textxfer_mm.engine.data_checks import innermost_datasets, tagged_datasets
from textxfer_mm.engine.frameworks import enter_scope
from textxfer_mm.errors import UserError
from textxfer_mm.evaluation.digests import digest
from textxfer_mm.evaluation.feature_bank import BankFile, FeatureBank
from textxfer_mm.evaluation.feature_shards import ShardRecord
from textxfer_mm.files import require_writable_folder

#: Told the split, what is done of it by this process, and what it is to do.
SplitProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class WrittenFeatures:
    """The features of one split, as far as they are there.

    Attributes:
        folder: Where they are.
        record: What made them.
        missing: Shards that are not there: other processes are to write them.
        skipped: Reasons by name of the videos that could not be decoded, in the shards that are there.
        redone: Names of the videos that had changed since, whose shards were written anew.
    """

    folder: Path
    record: ShardRecord
    missing: int
    skipped: dict[str, str]
    redone: tuple[str, ...] = ()


def write_features(
    cfg: Config,
    out: str | Path,
    *,
    splits: Sequence[str] = ('train', 'val'),
    copies: int = 0,
    checkpoint: str | Path | None = None,
    stage: str = 'backbone',
    shard_size: int = 1000,
    seed: int = 0,
    verify: bool = False,
    device: str | None = None,
    rank: int = 0,
    size: int = 1,
    progress: SplitProgress | None = None,
) -> list[WrittenFeatures]:
    """Encode the videos of a config up to the neck, and keep what the backbone gives of each frame or view.

    A folder a split: ``OUT/train``, ``OUT/val``. Shards that are there are passed over. The processes never meet: each
    writes every ``size``-th shard, and all write the same record.

    Args:
        cfg: A whole config of a recognizer.
        out: The folder OUT.
        splits: The dataloaders whose videos are taken.
        copies: So many copies of each training video, drawn by the pipeline of training; 0 is one by the pipeline of
            validation, as in the other splits.
        checkpoint: A checkpoint to encode with; None takes the weights that training starts from.
        stage: ``'backbone'`` for its output, or ``'frozen'`` for that of the frozen stages of a ``CLIPBackbone`` alone:
            the same backbone is trained on them, with a ``FeaturesOrPixels`` as its data preprocessor.
        shard_size: Videos a shard.
        seed: Seed of the copies.
        verify: Whether the videos of shards that are there are read to see that they are the same.
        device: None takes the GPU where there is one.
        rank: The number of this process.
        size: The number of processes.
        progress: Called with the split, and numbers of copies of videos of this process.

    Returns:
        What is there of each split.

    Raises:
        UserError: The config does not fit, or ``out`` holds features that something else made.
    """
    if copies < 0 or shard_size < 1:
        raise UserError(f'copies={copies} and shard_size={shard_size}: give 0 copies or more, and a shard 1 video.')
    register_all_modules()
    enter_scope(cfg)
    out = require_writable_folder(out, 'OUT')
    lists = {split: _listed(cfg, split, copies if split == 'train' else 0) for split in splits}
    target = choose_device(device)
    encoder = FrameEncoder(cfg, checkpoint, target, stage)
    weights = checkpoint or cfg.get('load_from')
    about = dict(config=Path(cfg.filename or 'config').name, checkpoint=Path(weights).name if weights else None)
    if stage == 'frozen':
        about['frozen_stages'] = encoder.backbone.frozen_stages
    written = []
    for split, (videos, steps, number) in lists.items():
        if any(label is None for label in videos.labels):
            raise UserError(f'The videos of {split}_dataloader have no labels to keep beside their features.')
        record = ShardRecord(
            weights=encoder.weights,
            pipeline=encoder.pipeline_digest(steps),
            stage=stage,
            list_digest=digest([[Path(name).name for name in videos.names], label_tensor(videos.labels).tolist()]),
            videos=len(videos),
            copies=number,
            seed=seed if number else 0,
            shard_size=shard_size,
            about=dict(about, split=split),
        )
        told = None if progress is None else lambda done, total, split=split: progress(split, done, total)
        loader = cfg.get('val_dataloader') or loader_of_phase(cfg, split)
        job = _Job(out / split, record, videos, encoder, loader)
        written.append(job.run(rank, size, verify, told))
    return written


def _listed(cfg: Config, split: str, copies: int) -> tuple[Videos, list[dict[str, Any]], int]:
    """The videos of a split, the steps that make samples of them, and the number of copies.

    Raises:
        UserError: The config has no such split, or several datasets in it.
    """
    dataset = loader_of_phase(cfg, split).dataset
    if any(tag is not None for _, tag in tagged_datasets(dataset)):
        raise UserError(f'{split}_dataloader reads several datasets; features are kept of one: give a config of each.')
    innermost = next(innermost_datasets(dataset))
    if split == 'train' and not copies:
        validation = cfg.get('val_dataloader')
        given = next(innermost_datasets(validation.dataset)).get('pipeline') if validation else cfg.get('test_pipeline')
    else:
        given = innermost.get('pipeline')
    if not given:
        raise UserError('The config needs a val_dataloader or the variable `test_pipeline` to encode videos with.')
    steps = with_exact_decoding([dict(step) for step in given])
    return Videos(each_once(dataset, steps)), steps, copies


class _Job:
    """The shards of one split."""

    def __init__(
        self, folder: Path, record: ShardRecord, videos: Videos, encoder: FrameEncoder, loader: Mapping[str, Any]
    ) -> None:
        self._folder, self._record, self._videos = folder, record, videos
        self._encoder, self._loader = encoder, loader
        self._copies = Copies(videos, max(record.copies, 1), record.seed)

    def run(self, rank: int, size: int, verify: bool, progress: Callable[[int, int], None] | None) -> WrittenFeatures:
        """Write what is to be written by this process."""
        record, folder = self._record, self._folder
        record.save(folder)
        mine = range(rank, record.shards, size)
        there = [shard for shard in mine if record.file(folder, shard).is_file()]
        changed = {shard: names for shard in there if (names := self._changed(shard))} if verify else {}
        wanted = [shard for shard in mine if shard not in there or shard in changed]
        total, done = sum(len(record.positions(shard)) for shard in wanted) * self._copies.copies, 0
        for shard in wanted:
            before = done

            def told(number: int, _: int, before: int = before) -> None:
                if progress is not None:
                    progress(before + number, total)

            done += self._write(shard, told)
        files = [record.file(folder, shard) for shard in range(record.shards)]
        there = [BankFile(file) for file in files if file.is_file()]
        skipped = {name: reason for file in there for name, reason in file.skipped.items()}
        redone = tuple(name for names in changed.values() for name in names)
        return WrittenFeatures(folder, record, len(files) - len(there), skipped, redone)

    def _write(self, shard: int, progress: Callable[[int, int], None]) -> int:
        """Encode the videos of a shard and write it whole; return the number of their copies."""
        copies, positions = self._copies.copies, self._record.positions(shard)
        items = range(positions.start * copies, positions.stop * copies)
        found: dict[int, Tensor] = {}
        failed: dict[int, str] = {}
        digests: dict[int, str] = {}
        for good in decoded(self._copies, items, self._loader, failed, progress):
            found.update(zip(good, self._encoder.encode([data for data, _ in good.values()]), strict=True))
            digests.update({item: known for item, (_, known) in good.items() if item % copies == 0})
        skipped = {item // copies: reason for item, reason in sorted(failed.items(), reverse=True)}
        kept = [position for position in positions if position not in skipped]
        FeatureBank(
            features=_stacked([found[p * copies + c] for p in kept for c in range(copies)], copies),
            labels=label_tensor([self._videos.labels[p] for p in kept]),
            names=tuple(self._videos.names[p] for p in kept),
            weights=self._record.weights,
            pipeline=self._record.pipeline,
            skipped={self._videos.names[p]: reason for p, reason in sorted(skipped.items())},
            about=self._record.about,
            digests=tuple(digests[p * copies] for p in kept),
        ).save(self._record.file(self._folder, shard))
        return len(items)

    def _changed(self, shard: int) -> list[str]:
        """The names of the videos of a shard that are other files by now, or can be decoded by now."""
        file = BankFile(self._record.file(self._folder, shard))
        others = [name for name, old in zip(file.names, file.digests, strict=True) if digest_of_video(name) != old]
        return [*others, *file.skipped]


def _stacked(features: list[Tensor], copies: int) -> Tensor:
    """Features of n videos (n, A, ...); an empty tensor where there are none.

    Raises:
        UserError: They are of several shapes.
    """
    shapes = sorted({tuple(one.shape) for one in features})
    if len(shapes) > 1:
        raise UserError(
            f'The videos have features of several shapes, {shapes[0]} and {shapes[-1]}: let the pipeline resize or '
            'crop them to one size.'
        )
    return torch.stack(features).unflatten(0, (-1, copies)) if features else torch.zeros(0, copies, 1)
