"""What the tests on a GPU share."""

import gc
import sys
from unittest.mock import patch

import pytest

from textxfer_mm.engine import launch


@pytest.fixture(autouse=True, scope='module')
def _quick():
    """Most of the time of so small a run is spent on laying out its config for the log, and on collecting garbage."""
    gc.freeze()
    formatted = patch('mmengine.config.config.FormatCode', lambda code, **_: (code, True))
    with formatted, patch('mmengine.dataset.base_dataset.gc.collect', lambda: 0):
        yield
    gc.unfreeze()


@pytest.fixture
def in_process(monkeypatch, tmp_path):
    """Run a tool's main function on a command line in this process; return the exit status."""

    def in_process(tool, *argv):
        monkeypatch.setattr(sys, 'argv', ['tool.py', *map(str, argv)])
        monkeypatch.setenv('LOCAL_RANK', '0')
        monkeypatch.chdir(tmp_path)
        return launch.run_tool(tool.main)

    return in_process
