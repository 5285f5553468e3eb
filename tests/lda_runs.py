"""A tiny recognizer whose head is to be filled by an ``LDAClassifier``, on real videos."""

import open_clip
import torch
from mmengine.config import Config
from tiny import TINY_VIT
from tiny_runs import run_config, write_dataset

PIPELINE = [
    dict(type='TolerantDecordInit', test_mode=True),
    dict(type='UniformSample', clip_len=3, test_mode=True),
    dict(type='TolerantDecordDecode', test_mode=True),
    dict(type='Resize', scale=(32, 32), keep_ratio=False),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]


def lda_config(folder, *, neck=True, good=8, corrupt=()):
    """Write videos, a CLIP file and the config; return the config. The file of features does not exist yet."""
    ann_file = write_dataset(folder / 'videos', good=good, corrupt=corrupt)
    torch.manual_seed(0)
    torch.save(open_clip.model.CLIP(**TINY_VIT).state_dict(), folder / 'clip.pt')
    cfg = Config(run_config(ann_file, folder / 'run'))
    for split in ('val', 'test'):
        cfg[f'{split}_dataloader'].dataset.pipeline = PIPELINE
    cfg.train_dataloader.dataset.pipeline = [*PIPELINE[:4], dict(type='Flip', flip_ratio=0.5), *PIPELINE[4:]]
    classifier = dict(type='LDAClassifier', class_names=['dark', 'bright'], features=str(folder / 'lda.safetensors'))
    cfg.model = dict(
        type='Recognizer3D',
        backbone=dict(type='CLIPBackbone', arch=TINY_VIT, pretrained=str(folder / 'clip.pt')),
        cls_head=dict(type='TextEmbeddingHead', in_channels=32, classifier=classifier),
        data_preprocessor=dict(cfg.model.data_preprocessor, format_shape='NCTHW'),
    )
    if neck:
        cfg.model.neck = dict(type='TemporalTransformer', in_channels=32, num_layers=1, num_heads=2)
    return cfg
