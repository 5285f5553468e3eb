"""Prefixes that wrappers put before all names."""

import pytest
import torch

from textxfer_mm.engine.checkpoint import state_of
from textxfer_mm.wrappers import strip_wrappers


@pytest.mark.parametrize('prefix', ['', 'module.', '_orig_mod.', 'module._orig_mod.', '_orig_mod.module.'])
def test_what_all_names_have_is_taken_off(prefix):
    names = ('a.module.weight', 'module_of.bias', 'b')
    found, taken = strip_wrappers({prefix + name: name for name in names})
    assert found == {name: name for name in names}
    assert taken == prefix


def test_what_some_names_have_stays():
    given = {'module.a': 1, 'b': 2}
    assert strip_wrappers(given) == (given, '')
    assert strip_wrappers({}) == ({}, '')


def test_the_weights_of_a_checkpoint_come_without():
    model = torch.nn.Sequential(torch.nn.Linear(2, 3))
    wrapped = {f'module.{name}': value for name, value in model.state_dict().items()}
    assert list(state_of(dict(state_dict=wrapped), 'a.pth')) == ['0.weight', '0.bias']
    plain = model.state_dict()
    assert state_of(dict(state_dict=plain), 'a.pth') is plain  # with PyTorch's versions of the modules
