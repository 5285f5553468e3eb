"""Selections of a list of videos, made by two gloo ranks that share nothing but a file for the draw."""

import os
import random

import numpy as np
import torch

import textxfer_mm.register  # noqa: F401

from mmengine.registry import init_default_scope  # isort: skip
from mmengine.dist import all_gather_object  # isort: skip

from textxfer_mm.engine.selection_checks import check_selection
from textxfer_mm.registry import DATASETS


def worker(rank, port, folder, configs, cfg):
    """One of two ranks, with a random state of its own; rank 0 saves what each dataset of both has."""
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE='2')
    torch.manual_seed(rank)
    np.random.seed(rank)
    random.seed(rank)
    init_default_scope('mmaction')
    check_selection(cfg, 'train')  # tools look at the data before the ranks meet, and the draw is written then
    torch.distributed.init_process_group('gloo', rank=rank, world_size=2)
    made = {}
    for name, config in configs.items():
        dataset = DATASETS.build(config)
        infos = (dataset.get_data_info(index) for index in range(len(dataset)))
        made[name] = [(info['filename'], info['label']) for info in infos]
    both = all_gather_object(made)
    if rank == 0:
        torch.save(both, folder / 'both.pt')
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
