"""The benchmark of exported models, on a tiny CLIP."""

import sys

import open_clip
import pytest
from scripts import load_script
from tiny import TINY_VIT


def test_the_table(monkeypatch, capsys):
    pytest.importorskip('onnxruntime', reason='the extra onnx is not installed')
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, 'ViT-B-32-quickgelu', TINY_VIT)
    monkeypatch.setattr(sys, 'argv', ['exported.py', '--archs', 'ViT-B-32-quickgelu', '--rounds', '2', '--videos', '2'])
    load_script('benchmarks/exported.py').main()
    row = capsys.readouterr().out.splitlines()[-1].split('|')
    assert row[1].strip() == 'ViT-B-32-quickgelu'
    assert float(row[5]) < 1e-4
