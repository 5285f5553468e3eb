"""One of two gloo ranks that share a device; what they exchange must lie on it, as NCCL wants it."""

import os
from functools import wraps

import torch
from device_models import batch_of, build
from mmengine.model import MMDistributedDataParallel
from torch import distributed as dist

#: name -> the rows of the first rank; the second has the others
SHARES = {
    'matching online': range(2),
    'captions': range(2),
    'datasets': range(5),
    'union of datasets': range(5),
    'iCLIP': range(6),
    'iCLIP sampled': range(6),
    'iCLIP with kept rows': range(6),
    'UniCL': range(6),
    'iCLIP of images': range(6),
}


def step(model, name, rows, device):
    """The loss of some rows of the batch, and the gradients of all parameters."""
    inputs, samples = batch_of(name, 0, device)
    found = model(inputs[list(rows)], [samples[i] for i in rows], mode='loss')
    loss = sum(value for key, value in found.items() if 'loss' in key)
    loss.backward()
    return loss.detach(), {key: p.grad for key, p in getattr(model, 'module', model).named_parameters()}


def on_device_only(exchange, device):
    """A collective function that refuses what NCCL would refuse."""

    @wraps(exchange)
    def checked(*args, **kwargs):
        tensors = [x for arg in args for x in (arg if isinstance(arg, list) else [arg]) if isinstance(x, torch.Tensor)]
        assert all(x.device.type == device for x in tensors), f'{exchange.__name__} of {[x.device for x in tensors]}'
        return exchange(*args, **kwargs)

    return checked


def worker(rank, port, folder, device):
    """One of two ranks; the first saves the mean of the losses and the gradients."""
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), TEXTXFER_CACHE=f'{folder}/cache{rank}')
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = False
    dist.init_process_group('gloo', rank=rank, world_size=2)
    for name in ('all_reduce', 'all_gather'):
        setattr(dist, name, on_device_only(getattr(dist, name), device))
    for name, first in SHARES.items():
        model = MMDistributedDataParallel(build(name, device), device_ids=[0] if device == 'cuda' else None)
        rows = first if rank == 0 else [i for i in range(len(batch_of(name, 0)[1])) if i not in first]
        loss, grads = step(model, name, rows, device)
        dist.all_reduce(loss)
        if rank == 0:
            torch.save(dict(loss=loss.cpu() / 2, grads={key: g.cpu() for key, g in grads.items()}), f'{folder}/{name}')
    dist.barrier()
    dist.destroy_process_group()
