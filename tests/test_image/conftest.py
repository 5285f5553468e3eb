"""The tests of this room run under MMPretrain's default scope."""

import pytest
from mmengine.registry import DefaultScope


@pytest.fixture(autouse=True)
def mmpretrain_scope():
    """What ``default_scope='mmpretrain'`` of a config does."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield
