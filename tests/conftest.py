"""Fixtures of the whole suite: no network, no GPU (but with TEXTXFER_TEST_GPU=1), a cache of its own, seeded draws."""

import gc
import os

os.environ.setdefault('HF_HUB_OFFLINE', '1')
if os.environ.get('TEXTXFER_TEST_GPU') != '1':
    os.environ['CUDA_VISIBLE_DEVICES'] = ''

import pytest
import torch
from mmengine.registry import DefaultScope

import textxfer_mm.register  # noqa: F401  (repairs and registers, as `custom_imports` does in a config)


def pytest_collection_finish():
    """Spare what is imported by now: MMEngine collects all garbage when it serialises a list, in half a second each."""
    gc.freeze()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """No test reads or fills the user's cache."""
    monkeypatch.setenv('TEXTXFER_CACHE', str(tmp_path_factory.mktemp('cache')))


@pytest.fixture(autouse=True)
def _own_default_scope():
    """The scope that a config enters, MMPretrain's for one, ends with its test; all begin in that of MMAction2."""
    with DefaultScope.overwrite_default_scope('mmaction'):
        yield


@pytest.fixture(autouse=True)
def _seeded():
    """Equal draws in every run."""
    torch.manual_seed(0)
