"""A training step of the heads whose text side changes in training, in this process or as one of two gloo ranks."""

import os

import torch
from joint_batch import step
from tiny import TINY_VIT

import textxfer_mm.register  # noqa: F401

from mmaction.registry import MODELS  # isort: skip
from mmengine.model import MMDistributedDataParallel  # isort: skip
from mmengine.registry import init_default_scope  # isort: skip

NAMES = ['riding a bike', 'jumping', 'dancing', 'clapping hands', 'walking to the left', 'sitting down']
CLASSIFIER = dict(type='TextClassifier', class_names=NAMES, encoder=dict(type='CLIPTextEncoder', arch=TINY_VIT))
TEMPLATES = ['{}', 'a video of {}', '{}, an action', 'the action {}.']


def build(**head):
    """ViT + T-Trans + a head, seeded."""
    init_default_scope('mmaction')
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='Recognizer3D',
            backbone=dict(type='CLIPBackbone', arch=TINY_VIT),
            neck=dict(type='TemporalTransformer', in_channels=32, num_layers=1, num_heads=2),
            cls_head=dict(in_channels=32, classifier=CLASSIFIER, **head),
        )
    )
    model.init_weights()
    return model.train()


def train(model, rows, steps=1):
    """Some steps without an optimizer: the losses, and the gradients of their sum."""
    return torch.stack([step(model, rows) for _ in range(steps)])


def worker(rank, port, folder, cache):
    """One of two ranks: half the batch; rank 0 saves the mean losses and their gradients."""
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), TEXTXFER_CACHE=str(cache))
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', rank=rank, world_size=2)
    cases = dict(
        prompt=(dict(type='LearnablePromptHead', init_scale=1.0), 1),
        templates=(dict(type='TextEmbeddingHead', train_templates=TEMPLATES), 5),
    )
    for name, (head, steps) in cases.items():
        model = MMDistributedDataParallel(build(**head))
        torch.manual_seed(rank)  # the ranks' random states differ
        losses = train(model, [2 * rank, 2 * rank + 1], steps)
        torch.distributed.all_reduce(losses)
        if rank == 0:
            grads = {key: p.grad for key, p in model.module.named_parameters() if p.grad is not None}
            torch.save(dict(losses=losses / 2, grads=grads), folder / f'{name}.pt')
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
