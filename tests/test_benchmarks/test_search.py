"""The benchmark of the search, on few moments."""

import json
import sys

import pytest
from scripts import load_script


def test_the_ways(monkeypatch, tmp_path, capsys):
    script = load_script('benchmarks/search.py')
    words = ['search.py', '--moments', '3000', '--dims', '8', '--rounds', '1', '--threads', '1']
    monkeypatch.setattr(script, 'MOST_MOMENTS', 2000)
    monkeypatch.setattr(sys, 'argv', [*words, '--folder', str(tmp_path), '--json', str(tmp_path / 'found.json')])
    script.main()
    assert capsys.readouterr().out.startswith('3,000 moments x 8, 1 threads')
    found = json.loads((tmp_path / 'found.json').read_text())
    assert list(found['seconds']) == ['search', 'numpy', 'torch', 'reading']
    assert found['open'] == pytest.approx(0, abs=5)
    assert [path.name for path in tmp_path.iterdir()] == ['found.json']
