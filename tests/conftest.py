"""Fixtures of the whole suite: no network, a cache of its own, seeded draws."""

import os

os.environ.setdefault('HF_HUB_OFFLINE', '1')

import pytest
import torch

import textxfer_mm  # noqa: F401  (repairs and registers, as `custom_imports` does in a config)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """No test reads or fills the user's cache."""
    monkeypatch.setenv('TEXTXFER_CACHE', str(tmp_path_factory.mktemp('cache')))


@pytest.fixture(autouse=True)
def _seeded():
    """Equal draws in every run."""
    torch.manual_seed(0)
