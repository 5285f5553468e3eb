"""A tiny trained recogniser with lists of videos of its classes and of others, for the tests of the evaluator."""

import copy
import json
import os
from pathlib import Path

import torch

import textxfer_mm.register  # noqa: F401

from lda_runs import PIPELINE, lda_config  # isort: skip
from mmengine.config import Config  # isort: skip
from mmengine.registry import init_default_scope  # isort: skip
from tiny import TINY_VIT  # isort: skip

from textxfer_mm.apis import score_videos
from textxfer_mm.apis.evaluation import evaluate
from textxfer_mm.registry import MODELS

SEEN, UNSEEN = ('dark', 'bright', 'grey', 'pale'), ('left', 'right', 'up')
#: Two clips of three frames and three crops: six views.
VIEWS = [
    PIPELINE[0],
    dict(type='UniformSample', clip_len=3, num_clips=2, test_mode=True),
    PIPELINE[2],
    dict(type='Resize', scale=(64, 32), keep_ratio=False),
    dict(type='ThreeCrop', crop_size=32),
    *PIPELINE[4:],
]


def evaluated_config(folder, *, good=11, corrupt=(), neck=False, **head):
    """Write videos and a CLIP file; return a config that tests six views of the videos of :data:`SEEN`."""
    cfg = lda_config(folder, neck=neck, good=good, corrupt=corrupt)
    file = folder / 'videos' / 'list.txt'
    videos = [line.split()[0] for line in file.read_text().splitlines()]
    for path, count in ((file, len(SEEN)), (file.with_name('unseen.txt'), len(UNSEEN))):
        path.write_text(''.join(f'{video} {number % count}\n' for number, video in enumerate(videos)))
    clip = dict(arch=TINY_VIT, pretrained=str(folder / 'clip.pt'))
    encoder = dict(type='CLIPTextEncoder', **clip)
    classifier = dict(type='TextClassifier', class_names=list(SEEN), encoder=encoder)
    cfg.model.cls_head = dict(type='TextEmbeddingHead', in_channels=32, classifier=classifier, topk=1, **head)
    cfg.test_dataloader.dataset.pipeline = VIEWS
    cfg.test_dataloader.batch_size = 3
    init_default_scope('mmaction')
    return cfg


def train(cfg, folder, seed=1):
    """Save weights other than those that training starts from; return the checkpoint."""
    model = MODELS.build(copy.deepcopy(cfg.model))
    model.init_weights()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.backbone.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    torch.save(dict(state_dict=model.state_dict()), folder / f'trained{seed}.pth')
    return folder / f'trained{seed}.pth'


def scores_of(cfg):
    """Scores of the test list by the model before training."""
    model = MODELS.build(copy.deepcopy(cfg.model))
    model.init_weights()
    return score_videos(model, cfg.test_dataloader)


def evaluate_ranks(rank, port, folder, checkpoint):
    """One of two gloo ranks: evaluate together, each writes what it got."""
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), TEXTXFER_CACHE=f'{folder}/cache{rank}')
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', rank=rank, world_size=2)
    cfg = Config.fromfile(f'{folder}/config.py')
    options = dict(protocols=['full', 'map'], features=f'{folder}/two.safetensors', device='cpu')
    result = evaluate(cfg, checkpoint, **options)
    result['scores'] = scores_of(cfg).values.tolist()
    Path(folder, f'{rank}.json').write_text(json.dumps(result))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
