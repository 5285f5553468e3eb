"""What the tests of the tools share."""

import sys

import pytest

from textxfer_mm.engine import launch


@pytest.fixture
def in_process(monkeypatch, tmp_path):
    """Run a tool's main function on a command line in this process; return the exit status."""

    def in_process(tool, *argv):
        monkeypatch.setattr(sys, 'argv', ['tool.py', *map(str, argv)])
        monkeypatch.setenv('LOCAL_RANK', '0')
        monkeypatch.chdir(tmp_path)
        return launch.run_tool(tool.main)

    return in_process
