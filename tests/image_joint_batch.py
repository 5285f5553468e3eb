"""A training step of an image classifier on some rows of a joint batch, in this process or as one of two gloo ranks."""

import os

import torch
from tiny import TINY_VIT, FixedSource

import textxfer_mm.register  # noqa: F401

from mmengine.model import MMDistributedDataParallel  # isort: skip
from mmengine.registry import init_default_scope  # isort: skip
from mmpretrain.registry import MODELS  # isort: skip
from mmpretrain.structures import DataSample  # isort: skip

LABELS = [0, 3, 3, 5]


def build():
    """ViT + TextEmbeddingClsHead, seeded."""
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    head = dict(type='TextEmbeddingClsHead', in_channels=32, classifier=FixedSource(embed_dims=32), init_scale=10.0)
    model = MODELS.build(
        dict(type='ImageClassifier', backbone=dict(type='CLIPImageBackbone', arch=TINY_VIT), head=head)
    )
    model.init_weights()
    return model.train()


def step(model, rows):
    """Loss of some rows of the joint batch, with gradients."""
    inputs = torch.randn(len(LABELS), 3, 32, 32, generator=torch.Generator().manual_seed(1))
    samples = [DataSample().set_gt_label(LABELS[i]) for i in rows]
    loss = model(inputs[rows], samples, mode='loss')['loss']
    loss.backward()
    return loss.detach()


def worker(rank, port, path):
    """One of two ranks: half the batch; rank 0 saves the mean loss and its gradients."""
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', rank=rank, world_size=2)
    model = MMDistributedDataParallel(build())
    loss = step(model, [2 * rank, 2 * rank + 1])
    torch.distributed.all_reduce(loss)
    if rank == 0:
        grads = {name: p.grad for name, p in model.module.named_parameters() if p.grad is not None}
        torch.save(dict(loss=loss / 2, grads=grads), path)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
