"""Tiny models before and after fine-tuning, as checkpoints with their configs, and lists of seen and unseen classes."""

import copy

import open_clip
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from tiny import TINY_VIT
from tiny_runs import write_dataset

import textxfer_mm.register  # noqa: F401
from textxfer_mm.registry import MODELS

SEEN, UNSEEN = ('dark', 'bright'), ('grey', 'blue')


def recognizer_config(folder, arch=TINY_VIT, *, good=4, neck=None, head=None):
    """Write videos of two classes and weights of a CLIP; return a whole config."""
    ann_file = folder / 'videos' / 'list.txt'
    if not ann_file.exists():
        write_dataset(ann_file.parent, good=good)
    weights = folder / f'clip{len(arch["vision_cfg"])}.pt'
    if not weights.exists():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            torch.save(open_clip.model.CLIP(**arch).state_dict(), weights)
    clip = dict(arch=arch, pretrained=str(weights))
    classifier = dict(type='TextClassifier', class_names=list(SEEN), encoder=dict(type='CLIPTextEncoder', **clip))
    model = dict(
        type='Recognizer3D',
        backbone=dict(type='CLIPBackbone', **clip),
        neck=neck or dict(type='TemporalAveragePool'),
        cls_head=dict(type='TextEmbeddingHead', in_channels=32, classifier=classifier, **(head or {})),
        data_preprocessor=dict(type='ActionDataPreprocessor', mean=[128.0] * 3, std=[64.0] * 3, format_shape='NCTHW'),
    )
    loader = dict(
        batch_size=2,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(
            type='VideoDataset',
            ann_file=str(ann_file),
            data_prefix=dict(video=str(ann_file.parent)),
            pipeline=[
                dict(type='TolerantDecordInit', test_mode=True),
                dict(type='UniformSample', clip_len=2, test_mode=True),
                dict(type='TolerantDecordDecode', test_mode=True),
                dict(type='Resize', scale=(32, 32), keep_ratio=False),
                dict(type='FormatShape', input_format='NCTHW'),
                dict(type='PackActionInputs'),
            ],
            test_mode=True,
        ),
    )
    loaders = {f'{phase}_dataloader': copy.deepcopy(loader) for phase in ('train', 'val', 'test')}
    return Config(dict(default_scope='mmaction', model=model, test_pipeline=loader['dataset']['pipeline'], **loaders))


def start(cfg):
    """The model as training finds it."""
    init_default_scope('mmaction')
    model = MODELS.build(cfg.model)
    model.init_weights()
    return model


def fine_tune(cfg, path, seed=1):
    """Move all weights of the model that training finds, as training does; save it as MMEngine would."""
    torch.manual_seed(seed)
    model = start(cfg)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
        for name, buffer in model.named_buffers():
            if name.endswith('num_batches_tracked'):
                buffer += 7
            elif name.endswith(('running_mean', 'running_var')):
                buffer += 0.5
    meta = dict(cfg=cfg.pretty_text, epoch=3, dataset_meta=dict(classes=SEEN))
    torch.save(dict(state_dict=model.state_dict(), meta=meta, optimizer=dict(state={})), path)
    return path


def state(path):
    """The weights in a checkpoint."""
    return torch.load(path, weights_only=True)['state_dict']
