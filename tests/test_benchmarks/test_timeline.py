"""The benchmark of the timeline, on a short video."""

import json
import sys

import pytest
from docs_sandbox import ROOT
from scripts import load_script
from tiny_configs import tiny_recognizer
from tiny_runs import write_video

from textxfer_mm.apis import load_config


def test_the_table(monkeypatch, tmp_path, capsys):
    script = load_script('benchmarks/timeline.py')
    write_video(tmp_path / 'a.mp4', frames=60)
    config = tmp_path / 'tiny.py'
    name = ROOT / 'configs' / 'text4vis/text4vis_vit-b-16_tap_8xb32-u8-30e_kinetics400-rgb.py'
    tiny_recognizer(load_config(str(name))).dump(config)
    words = ['timeline.py', str(tmp_path / 'a.mp4'), '--config', str(config), '--rounds', '1']
    monkeypatch.setattr(sys, 'argv', [*words, '--json', str(tmp_path / 'found.json')])
    script.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith('6.0 s, 60 frames, ')
    found = json.loads((tmp_path / 'found.json').read_text())
    assert list(found['seconds']) == ['decoding', 'wanted', 'timeline', 'window by window']
    assert all(wall > 0 for wall, _ in found['seconds'].values())
    assert found['minutes'] == pytest.approx(0.1)
