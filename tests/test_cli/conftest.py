"""What the tests of commands share."""

import open_clip
import pytest
import torch
from tiny import CLIP_NAME, TINY_VIT


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    """A file of weights of a tiny CLIP that takes the place of one whose tags open_clip knows."""
    patch = pytest.MonkeyPatch()
    patch.setitem(open_clip.factory._MODEL_CONFIGS, CLIP_NAME, TINY_VIT)
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp('clip') / 'tiny.pt'
    torch.save(open_clip.create_model(CLIP_NAME).state_dict(), file)
    yield file
    patch.undo()
