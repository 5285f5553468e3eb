"""A ViT with TokenT1D and activation checkpointing as one of two gloo ranks."""

import os

import torch
from tiny import TINY_VIT

from textxfer_mm.models.backbones import CLIPBackbone


def with_token_t1d(arch, *, seed=None, frozen=False, frozen_stages=-1, with_cp=False, **options):
    """A backbone with ``temporal=dict(type='TokenT1D', **options)``."""
    if seed is not None:
        torch.manual_seed(seed)
    temporal = dict(type='TokenT1D', **options)
    return CLIPBackbone(arch, temporal=temporal, frozen=frozen, frozen_stages=frozen_stages, with_cp=with_cp)


def worker(rank, port, path):
    """One of two ranks: half of four videos; rank 0 saves the averaged gradients."""
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', rank=rank, world_size=2)
    model = torch.nn.parallel.DistributedDataParallel(with_token_t1d(TINY_VIT, with_cp=True, seed=0).train())
    videos = torch.randn(4, 3, 4, 32, 32, generator=torch.Generator().manual_seed(1))
    model(videos[2 * rank : 2 * rank + 2]).square().mean().backward()
    if rank == 0:
        torch.save({name: parameter.grad for name, parameter in model.module.named_parameters()}, path)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
