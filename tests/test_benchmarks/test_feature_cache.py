"""The benchmark of the feature cache, with a tiny tower on four short videos."""

import json
import sys

from scripts import ROOT, load_script
from tiny import TINY_VIT


def test_the_lines(monkeypatch, tmp_path, capsys):
    monkeypatch.syspath_prepend(str(ROOT / 'benchmarks'))
    script = load_script('benchmarks/feature_cache.py')
    (tmp_path / 'tiny.json').write_text(json.dumps(TINY_VIT))
    sizes = ['--videos', '4', '--epochs', '1', '--cached-epochs', '1', '--batch-size', '2']
    words = ['feature_cache.py', *sizes, '--arch', str(tmp_path / 'tiny.json'), '--json', str(tmp_path / 'found.json')]
    monkeypatch.setattr(sys, 'argv', words)
    script.main()
    found = json.loads((tmp_path / 'found.json').read_text())
    assert list(found['epochs']) == ['TemporalAveragePool', 'TemporalTransformer']
    for ways in found['epochs'].values():
        assert ways['difference'] <= 1e-5
        assert ways['videos'][1] > ways['cache'][1] > 0  # processor seconds
    assert 'TemporalTransformer  cache' in capsys.readouterr().out
