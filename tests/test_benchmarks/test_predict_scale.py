"""The benchmark of prediction over many videos, on a few."""

import json
import sys

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
    assert found['share_of_slower_half'] == found['rates']['both'] / min(list(found['rates'].values())[:2])
    assert f'{found["share_of_slower_half"]:.1%} of the slower half' in lines
    assert min(found['memory'].values()) > 100
