"""A rank that trains behind a frozen part, as its own process runs it."""

from types import SimpleNamespace

import torch
import torch.distributed as dist
from mmengine.model import MMDistributedDataParallel
from torch import nn

from textxfer_mm.engine.hooks import FrozenPartsHook


class Model(nn.Module):
    """A backbone with a batch norm and dropout, and a head."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.backbone = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
        self.cls_head = nn.Linear(4, 2)

    def forward(self, x):
        return self.cls_head(self.backbone(x))


def trained(model, batches):
    """Train behind the hook, by SGD as DDP averages it, and return the weights."""
    hook, runner = FrozenPartsHook(['backbone']), SimpleNamespace(model=model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    hook.before_run(runner)
    hook.before_train(runner)
    for step, batch in enumerate(batches):
        model.train()
        hook.before_train_iter(runner, step)
        optimizer.zero_grad()
        model(batch).square().mean().backward()
        optimizer.step()
    return {name.removeprefix('module.'): value for name, value in model.state_dict().items()}


def batches():
    """Three batches of eight."""
    return torch.randn(3, 8, 4, generator=torch.Generator().manual_seed(1))


def worker(rank, port, out):
    """Train on half of each batch."""
    dist.init_process_group('gloo', init_method=f'tcp://127.0.0.1:{port}', rank=rank, world_size=2)
    model = MMDistributedDataParallel(Model(), find_unused_parameters=True)  # wrapped before the hook, as a runner does
    weights = trained(model, batches().chunk(2, dim=1)[rank])
    torch.save(weights, f'{out}{rank}.pt')
    dist.destroy_process_group()
