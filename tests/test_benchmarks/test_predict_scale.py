"""The benchmark of prediction over many videos, on a few."""

import json
import sys

import pytest
from docs_sandbox import ROOT
from scripts import load_script
from tiny_configs import tiny_recognizer

from textxfer_mm.apis import load_config


def test_the_table(monkeypatch, tmp_path, capsys):
    script = load_script('benchmarks/predict_scale.py')
    config = tmp_path / 'tiny.py'
    name = ROOT / 'configs' / 'text4vis/text4vis_vit-b-16_tap_8xb32-u8-30e_kinetics400-rgb.py'
    tiny_recognizer(load_config(str(name))).dump(config)
    words = ['predict_scale.py', '--videos', '6', '--parts', '2', '--config', str(config), '--no-kill']
    monkeypatch.setattr(sys, 'argv', [*words, '--json', str(tmp_path / 'found.json')])
    threads = script.torch.get_num_threads()
    try:
        script.main()
    finally:
        script.torch.set_num_threads(threads)
    lines = capsys.readouterr().out.splitlines()
    found = json.loads((tmp_path / 'found.json').read_text())
    assert list(found['rates']) == ['decoding alone', 'model alone', 'both']
    assert all(rate > 0 for rate in found['rates'].values())
    assert found['share_by_wall'] == pytest.approx(found['rates']['both'] / min(list(found['rates'].values())[:2]))
    assert 0 < found['share_by_processors'] < 2
    assert found['seconds']['decoding alone']['decoding'] > 0
    assert any(line.startswith(f'of the slower half: {found["share_by_wall"]:.1%} by wall time') for line in lines)
    assert min(found['memory'].values()) > 100
