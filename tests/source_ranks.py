"""Classifiers of several sources, built by two gloo ranks that share nothing."""

import os

import numpy as np
import torch

import textxfer_mm.register  # noqa: F401

from mmaction.registry import MODELS  # isort: skip
from mmengine.registry import init_default_scope  # isort: skip


def worker(rank, port, folder, configs):
    """One of two ranks, with a cache and a random state of its own; rank 0 saves the matrices of both."""
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), TEXTXFER_CACHE=str(folder / f'cache{rank}'))
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', rank=rank, world_size=2)
    torch.manual_seed(rank)
    np.random.seed(rank)
    init_default_scope('mmaction')
    for kind, cfg in configs.items():
        head = MODELS.build(dict(type='TextEmbeddingHead', in_channels=cfg.get('embed_dims', 32), classifier=cfg))
        head.init_weights()
        matrices = [torch.zeros_like(head.class_rows.weight) for _ in range(2)]
        torch.distributed.all_gather(matrices, head.class_rows.weight)
        if rank == 0:
            torch.save(matrices, folder / f'{kind}.pt')
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
