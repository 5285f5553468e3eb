"""What the tests of the heads share."""

import copy

import pytest
import torch
from mmengine.runner.checkpoint import load_state_dict, save_checkpoint


@pytest.fixture(params=['torch', 'mmengine', 'file'])
def load(request, tmp_path):
    """The three ways a checkpoint comes back."""

    def through(head, state):
        if request.param == 'torch':
            head.load_state_dict(state)
        elif request.param == 'mmengine':
            load_state_dict(head, copy.deepcopy(state), strict=True)
        else:
            save_checkpoint(dict(state_dict=state), str(tmp_path / 'x.pth'))
            loaded = torch.load(tmp_path / 'x.pth', weights_only=True)
            load_state_dict(head, loaded['state_dict'], strict=True)

    return through
