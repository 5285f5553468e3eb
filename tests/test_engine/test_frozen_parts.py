"""``FrozenPartsHook``: what it names stays as it is, whatever it is made of."""

import socket
from types import SimpleNamespace

import pytest
import torch
import torch.multiprocessing as mp
from frozen_ranks import Model, batches, trained, worker

from textxfer_mm.engine.hooks import FrozenPartsHook
from textxfer_mm.errors import UserError


def test_the_part_stays_and_the_rest_is_trained():
    torch.manual_seed(0)
    model = Model().train()
    runner = SimpleNamespace(model=model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)  # built before, as the runner's is
    before = {name: value.clone() for name, value in model.state_dict().items()}
    hook = FrozenPartsHook(['backbone'])
    hook.before_train(runner)
    for step in range(3):
        model.train()  # as the loop does each epoch
        hook.before_train_iter(runner, step)
        x = torch.randn(8, 4)
        assert torch.equal(model.backbone(x), model.backbone(x))  # no dropout
        model(x).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]) == name.startswith('backbone.'), name


def test_two_processes_equal_one(tmp_path):
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    mp.spawn(worker, args=(port, tmp_path / 'rank'), nprocs=2)
    alone = trained(Model(), batches())
    for rank in range(2):
        weights = torch.load(tmp_path / f'rank{rank}.pt', weights_only=True)
        for name, value in alone.items():
            torch.testing.assert_close(weights[name], value, rtol=0, atol=1e-6)
    assert not torch.equal(alone['cls_head.weight'], Model().cls_head.weight)


def test_an_unknown_part_is_refused():
    with pytest.raises(UserError, match=r"the model has no part 'backbon'\. Did you mean: backbone"):
        FrozenPartsHook(['backbon']).before_train(SimpleNamespace(model=Model()))
