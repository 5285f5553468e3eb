"""Features of labelled videos by the encoder of a config: what ``LDAClassifier`` learns from (paper: section 2.2)."""

import copy
import logging
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.dist import all_gather_object, get_dist_info
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from textxfer_mm.apis.inference import choose_device
from textxfer_mm.classifiers.feature_file import LabelledFeatures
from textxfer_mm.datasets import corrupt_record
from textxfer_mm.datasets.draws import draw_per_class
from textxfer_mm.datasets.transforms_video import CorruptVideoError, with_exact_decoding
from textxfer_mm.engine.checkpoint import load_checkpoint_file, load_fully, state_of
from textxfer_mm.engine.classes import classifier_of, head_of
from textxfer_mm.engine.data_checks import innermost_datasets
from textxfer_mm.errors import UserError, first_line, nearest
from textxfer_mm.inputs import SPLITS
from textxfer_mm.layers.lazy import LazyWeights
from textxfer_mm.layers.projections import LinearProjection, MLPProjection
from textxfer_mm.models.heads.pooling import pool_features
from textxfer_mm.registry import MODELS

from mmaction.registry import DATASETS  # isort: skip  (after the registry: it repairs mmaction)


def extract_features(
    cfg: Config,
    *,
    split: str = 'train',
    per_class: int | None = 60,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    device: str | None = None,
) -> LabelledFeatures:
    """Encode some videos of each class with the pipeline of validation.

    A feature is what the head would compare with the classifier: frames and views averaged (TAP), projected where the
    head has a projection, not normalised. Without ``checkpoint`` the weights are those that training starts from: the
    encoder's pre-trained ones and ``load_from`` of the config. A neck that is still random is left out. The head's own
    classifier is not needed, and may be an ``LDAClassifier`` whose file does not exist yet.

    With several processes each encodes a part, and all return the whole. Videos that cannot be decoded are left out and
    named in a warning.

    Args:
        cfg: A whole config.
        split: The split whose videos are taken: 'train', 'val' or 'test'.
        per_class: Videos a class; None takes all.
        seed: The seed of the draw of the videos.
        checkpoint: A checkpoint of this config to encode with.
        device: None takes the GPU where there is one.

    Returns:
        (n, D) features and (n,) labels in the order of the list, with a record of where they come from.

    Raises:
        UserError: The config has no such split, a class has fewer videos than ``per_class`` or none that can be
            decoded, or the model cannot give features.
    """
    init_default_scope(cfg.get('default_scope', 'mmaction'))
    videos = _Videos(cfg, split, per_class, seed)
    model, stage = _build_model(cfg, checkpoint)
    rows, failed = _encode_all(model.to(choose_device(device)).eval(), videos, cfg, stage)
    if failed:
        _report(failed, videos, rows)
    kept, weights = sorted(rows), checkpoint or cfg.get('load_from')
    metadata = dict(
        config=Path(cfg.filename or 'config').name,
        encoder=_encoder_name(cfg.model.backbone),
        checkpoint=Path(weights).name if weights else None,
        stage=stage,
        **dict(split=split, per_class=per_class, seed=seed, left_out=sorted(failed)),
    )
    labels = torch.tensor([videos.labels[position] for position in kept])
    return LabelledFeatures(torch.stack([rows[position] for position in kept]), labels, metadata)


class _Videos(Dataset):
    """The drawn videos: ``(position, data, reason)``, with data None where a video cannot be decoded."""

    def __init__(self, cfg: Config, split: str, per_class: int | None, seed: int):
        known = [name for name in SPLITS if cfg.get(f'{name}_dataloader')]
        if split not in known:
            raise UserError(f'The config has no {split}_dataloader to take videos from.{nearest(split, known)}')
        dataset_cfg = _one_view_each(cfg[f'{split}_dataloader'].dataset, _validation_pipeline(cfg))
        self.dataset = DATASETS.build(dataset_cfg)
        self.dataset.full_init()
        infos = [self.dataset.get_data_info(index) for index in range(len(self.dataset))]
        given = [info.get('label') for info in infos]
        self.indices = draw_per_class(given, seed=seed, **(dict(count=per_class) if per_class else dict(fraction=1.0)))
        self.labels = [given[index] for index in self.indices]
        self.names = [str(infos[i].get('filename', infos[i].get('frame_dir'))) for i in self.indices]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> tuple[int, Any, str]:
        try:
            with corrupt_record.nobody_reads():
                return position, self.dataset[self.indices[position]], ''
        except CorruptVideoError as error:
            return position, None, error.reason
        except (ImportError, MemoryError, UserError):
            raise
        except Exception as error:
            return position, None, first_line(error)


def _validation_pipeline(cfg: Config) -> list[dict[str, Any]]:
    """The pipeline of one view a video."""
    loader = cfg.get('val_dataloader') or cfg.get('test_dataloader')
    dataset = next(innermost_datasets(loader.dataset)) if loader else dict(pipeline=cfg.get('test_pipeline'))
    if not dataset.get('pipeline'):
        raise UserError('The config needs a val_dataloader or the variable `test_pipeline` to encode videos with.')
    return with_exact_decoding([dict(step) for step in dataset['pipeline']])


def _one_view_each(cfg: ConfigDict, pipeline: list[dict[str, Any]]) -> ConfigDict:
    """A dataset config with another pipeline in its innermost datasets, and without repetitions."""
    if cfg['type'] in ('RepeatDataset', 'ClassBalancedDataset'):
        return _one_view_each(cfg['dataset'], pipeline)
    cfg = copy.deepcopy(cfg)
    if 'dataset' in cfg:
        cfg['dataset'] = _one_view_each(cfg['dataset'], pipeline)
    elif 'datasets' in cfg:
        cfg['datasets'] = [_one_view_each(part, pipeline) for part in cfg['datasets']]
    else:
        cfg.update(pipeline=pipeline, test_mode=True)
    return cfg


def _build_model(cfg: Config, checkpoint: str | Path | None) -> tuple[nn.Module, str]:
    """The recognizer, and the stage whose features are to be taken: ``'neck'`` if that was trained, or ``'backbone'``.

    Raises:
        UserError: The features would come out of an untrained projection, or the checkpoint does not fit.
    """
    model_cfg = copy.deepcopy(cfg.model)
    head, source = head_of(dict(model=model_cfg)), classifier_of(dict(model=model_cfg))
    if isinstance(source, dict) and source.get('type') == 'LDAClassifier' and head.get('projection') is None:
        source.setdefault(
            'embed_dims', head.get('embed_dims') or head.get('in_channels')
        )  # the file is still to be made
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed((cfg.get('randomness') or {}).get('seed') or 0)  # what is random is so equally on all ranks
        model = MODELS.build(model_cfg)
        projection = getattr(model.cls_head, 'projection', None) if model.with_cls_head else None
        if not checkpoint:
            for part in (model.backbone, projection):
                if isinstance(part, LazyWeights):
                    part.ensure_weights()
                elif isinstance(part, BaseModule):
                    part.init_weights()
    state = _load(model, checkpoint, cfg.get('load_from'))
    loaded = {'.'.join(key.split('.')[:2]) for key in state}
    if isinstance(projection, LinearProjection | MLPProjection) and 'cls_head.projection' not in loaded:
        raise UserError(
            'The features would come out of a projection that is not trained yet. Leave the `projection` of the head '
            'out (an LDAClassifier is as wide as its features), or give a checkpoint.'
        )
    return model, 'neck' if any(part.startswith('neck.') for part in loaded) else 'backbone'


def _load(model: nn.Module, checkpoint: str | Path | None, load_from: str | None) -> dict[str, Any]:
    """Load a checkpoint entirely, or what the config starts from as MMEngine's runner does; return the weights."""
    if checkpoint:
        state = state_of(load_checkpoint_file(checkpoint), checkpoint)
        load_fully(model, dict(state), checkpoint)
        return state
    if load_from:
        return state_of(load_checkpoint(model, load_from, map_location='cpu'), load_from)
    return {}


@torch.no_grad()
def _encode_all(model: nn.Module, videos: _Videos, cfg: Config, stage: str) -> tuple[dict[int, Tensor], dict[str, str]]:
    """Encode this rank's share and gather all: features (D,) by position, and reasons by name of what failed."""
    rank, world_size = get_dist_info()
    share = range(rank, len(videos), world_size)
    loader_cfg = cfg.get('val_dataloader') or cfg.get('test_dataloader') or {}
    loader = DataLoader(
        videos,
        batch_size=loader_cfg.get('batch_size', 1),
        sampler=share,
        num_workers=loader_cfg.get('num_workers', 0),
        collate_fn=list,
        generator=torch.Generator(),  # the global random state is left alone
    )
    rows: dict[int, Tensor] = {}
    failed: dict[str, str] = {}
    for done, batch in enumerate(loader, 1):
        failed.update({videos.names[position]: reason for position, data, reason in batch if data is None})
        good = {position: data for position, data, _ in batch if data is not None}
        if good:
            features = _encode(model, list(good.values()), stage).cpu()  # (N, D)
            rows.update({position: row.clone() for position, row in zip(good, features, strict=True)})
        if done * 20 // len(loader) > (done - 1) * 20 // len(loader):
            print_log(f'Encoded {done * 100 // len(loader)} % of {len(share)} videos.', logger='current')
    for part, left_out in all_gather_object((rows, failed)):
        rows.update(part)
        failed.update(left_out)
    return rows, failed


def _encode(model: nn.Module, batch: list[Any], stage: str) -> Tensor:
    """Features (N, D) of N videos, averaged over all that a video has of frames and views."""
    inputs = model.data_preprocessor(pseudo_collate(batch), training=False)['inputs']
    features, _ = model.extract_feat(inputs, stage=stage)
    embed = getattr(model.cls_head, 'embed', pool_features) if model.with_cls_head else pool_features
    return embed(features).float().unflatten(0, (len(batch), -1)).mean(1)


def _report(failed: dict[str, str], videos: _Videos, rows: dict[int, Tensor]) -> None:
    """Warn of the videos that could not be decoded.

    Raises:
        UserError: A class has no others.
    """
    lines = [f'{name}: {reason}' for name, reason in sorted(failed.items())]
    lost = sorted(set(videos.labels) - {videos.labels[position] for position in rows})
    if lost:
        raise UserError(
            f'None of the drawn videos of label {lost[0]} could be decoded'
            + (f', nor of {len(lost) - 1} other label(s)' if len(lost) > 1 else '')
            + f'; in all {len(failed)} of {len(videos)} failed, such as {lines[0]}.'
        )
    headline = f'{len(failed)} of {len(videos)} videos could not be decoded and are left out:'
    print_log('\n  '.join([headline, *lines]), logger='current', level=logging.WARNING)


def _encoder_name(backbone: ConfigDict) -> str:
    """E.g. ``'CLIPBackbone/ViT-B-16-quickgelu/openai'``; a file goes by its name."""
    parts = [backbone.get('arch'), backbone.get('depth'), backbone.get('pretrained')]
    return '/'.join([str(backbone['type']), *(Path(str(part)).name for part in parts if isinstance(part, str | int))])
