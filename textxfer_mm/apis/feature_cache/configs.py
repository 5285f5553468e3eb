"""Configs that train on features in the place of videos, and checkpoints that take videos again."""

import copy
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict

from textxfer_mm import register_all_modules
from textxfer_mm.apis.feature_cache.encoder import FrameEncoder
from textxfer_mm.engine.checkpoint import load_checkpoint_file, state_of, write_checkpoint
from textxfer_mm.engine.config_files import config_of_checkpoint
from textxfer_mm.engine.data_checks import innermost_datasets
from textxfer_mm.engine.frameworks import enter_scope
from textxfer_mm.errors import UserError
from textxfer_mm.evaluation.feature_shards import RECORD, FeatureShards
from textxfer_mm.files import require_writable_file
from textxfer_mm.inputs import SPLITS

#: Wrappers that are not spent once a list is made shorter: they repeat what is left.
_REPEATING = ('RepeatDataset', 'ClassBalancedDataset', 'FewShotDataset')


def config_on_features(cfg: Config, out: str | Path) -> Config:
    """The config whose neck and head are trained on the features of a folder, with the loaders reading them.

    Args:
        cfg: The config whose features were written.
        out: What ``textxfer features`` wrote: ``OUT/train`` and others. Validation and testing read ``OUT/val`` and
            ``OUT/test``, testing ``OUT/val`` where there is no other, or are left out.

    Raises:
        UserError: Features are not whole, or not of one backbone.
    """
    made, out = copy.deepcopy(cfg), Path(out)
    found = {split: FeatureShards(out / split) for split in SPLITS if (out / split / RECORD).is_file()}
    if 'train' not in found:
        raise UserError(f'{out} holds no features to train on: `textxfer features CONFIG {out}` writes {out}/train.')
    train = found['train']
    if train.record.stage != 'backbone':
        raise UserError(f'{out} holds the output of frozen stages alone, on which the backbone itself is trained.')
    for split, shards in found.items():
        if shards.record.weights != train.record.weights:
            raise UserError(f'{out}/{split} holds features of other weights than {out}/train.')
    made.model.backbone = ConfigDict(type='IdentityBackbone', out_channels=train.sample_shape[1])
    pixels = made.model.get('data_preprocessor') or {}
    kept = {key: pixels[key] for key in ('type', 'format_shape', 'blending') if key in pixels}
    made.model.data_preprocessor = ConfigDict(kept or dict(type='ActionDataPreprocessor'))
    sources = dict(train='train', val='val', test='test' if 'test' in found else 'val')
    for split, source in sources.items():
        if source in found and made.get(f'{split}_dataloader'):
            _read(made[f'{split}_dataloader'], str(out / source), found[source], test_mode=split != 'train')
        elif split != 'train':
            for part in ('dataloader', 'cfg', 'evaluator'):
                made[f'{split}_{part}'] = None
    made.pop('test_pipeline', None)
    made.work_dir = str(out / 'run')  # by the name of the config all would share a folder
    return made


def config_on_frozen_stages(cfg: Config, folder: str | Path) -> Config:
    """The config whose training reads the output of its backbone's frozen stages; all else takes videos as before.

    Args:
        cfg: The config whose features were written, with ``stage='frozen'``.
        folder: The folder of the training videos, ``OUT/train``.

    Raises:
        UserError: The features are not whole, or not those of frozen stages.
    """
    made, shards = copy.deepcopy(cfg), FeatureShards(folder)
    if shards.record.stage != 'frozen':
        raise UserError(f'{folder} holds the output of a whole backbone, not that of its frozen stages.')
    _read(made.train_dataloader, str(folder), shards, test_mode=False)
    made.model.data_preprocessor.type = 'FeaturesOrPixels'
    return made


def whole_checkpoint(
    cfg: Config, trained: str | Path, out: str | Path, *, checkpoint: str | Path | None = None
) -> Path:
    """Put the backbone under a neck and head that were trained on its features: a checkpoint that takes videos.

    Args:
        cfg: The config whose features were written.
        trained: A checkpoint of training on them.
        out: The file to write.
        checkpoint: The checkpoint that the features were written with, if there was one.

    Raises:
        UserError: The neck and head were trained on features of other weights.
    """
    target = require_writable_file(out, 'OUT')
    register_all_modules()
    enter_scope(cfg)
    loaded = load_checkpoint_file(trained)
    encoder = FrameEncoder(cfg, checkpoint, torch.device('cpu'))
    for dataset in innermost_datasets(config_of_checkpoint(trained).train_dataloader.dataset):
        if not encoder.weights.startswith(dataset.get('weights') or ''):
            raise UserError(
                f'{trained} was trained on features of other weights ({dataset.weights[:12]}) than this backbone has '
                f'({encoder.weights[:12]}): give the config and the checkpoint that the features were written with.'
            )
    state = {f'backbone.{name}': value for name, value in encoder.backbone.state_dict().items()}
    meta = dict(loaded.get('meta') or {}, cfg=cfg.pretty_text)
    write_checkpoint(target, dict(meta=meta, state_dict={**state, **state_of(loaded, trained)}))
    return target


def _read(loader: ConfigDict, folder: str, shards: FeatureShards, *, test_mode: bool) -> None:
    """Let a dataloader read the features of a folder, in its own process: that is cheaper than handing them over."""
    loader.dataset = _on_features(loader.dataset, folder, shards, test_mode)
    loader.update(num_workers=0, persistent_workers=False)
    loader.pop('worker_init_fn', None)


def _on_features(dataset: ConfigDict, folder: str, shards: FeatureShards, test_mode: bool) -> ConfigDict:
    """The dataset of the features of a folder, repeated as the videos are."""
    if dataset['type'] in _REPEATING:
        return ConfigDict({**dataset, 'dataset': _on_features(dataset['dataset'], folder, shards, test_mode)})
    made = ConfigDict(type='FeatureDataset', features=folder, weights=shards.record.weights[:16], test_mode=test_mode)
    metainfo = next(innermost_datasets(dataset)).get('metainfo')
    if metainfo and dataset['type'] != 'ClassSubsetDataset':  # which names other classes than its list
        made.metainfo = metainfo
    return made
