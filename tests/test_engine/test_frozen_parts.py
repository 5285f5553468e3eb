"""``FrozenPartsHook``: what it names stays as it is, whatever it is made of."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from textxfer_mm.engine.hooks import FrozenPartsHook
from textxfer_mm.errors import UserError


class Model(nn.Module):
    """A backbone with a batch norm and dropout, and a head."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
        self.cls_head = nn.Linear(4, 2)

    def forward(self, x):
        return self.cls_head(self.backbone(x))


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


def test_an_unknown_part_is_refused():
    with pytest.raises(UserError, match=r"the model has no part 'backbon'\. Did you mean: backbone"):
        FrozenPartsHook(['backbon']).before_train(SimpleNamespace(model=Model()))
