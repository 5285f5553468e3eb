"""The benchmarks of decoding, on short and small videos."""

import json
import sys

import numpy as np
import pytest
from scripts import load_script

from textxfer_mm.video.reader import VideoReader


@pytest.fixture(scope='module')
def scripts():
    return load_script('benchmarks/decoding.py'), load_script('benchmarks/decoding_accuracy.py')


def test_the_table(scripts, monkeypatch, tmp_path, capsys):
    decoding, _ = scripts
    for name, value in dict(WIDTH=128, HEIGHT=96, COUNT=40).items():
        monkeypatch.setattr(decoding, name, value)
    kinds = ('h264_mp4', 'xvid_b_frames_avi', 'av1_mp4')
    monkeypatch.setattr(decoding, 'MEASURED', {kind: kind for kind in kinds})
    monkeypatch.setattr(sys, 'argv', ['decoding.py', '--rounds', '1', '--json', str(tmp_path / 'found.json')])
    decoding.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(kinds)
    assert 'wrong' not in lines[1]
    assert 'wrong' in lines[2]
    found = json.loads((tmp_path / 'found.json').read_text())
    assert [found[kind]['decord_is_right'] for kind in kinds] == [True, False, False]
    assert all(found[kind]['ours'] > 0 and found[kind]['pipeline'] > 0 for kind in kinds)
    assert 'stock' not in found['av1_mp4']  # decord does not open it


def test_videos_encoded_again_show_the_same(scripts, tmp_path):
    decoding, accuracy = scripts
    frames = [np.roll(frame, 0) for frame, _ in zip(decoding.texture(), range(12), strict=False)]
    (tmp_path / 'videos').mkdir()
    original = decoding.encode(tmp_path / 'videos' / 'a.mp4', 'h264_mp4', frames)
    reference = VideoReader(str(original)).read(range(12)).astype(int)
    for kind in accuracy.ENCODED:
        accuracy.encode_again(tmp_path, ['videos/a.mp4'], tmp_path / kind, kind)
        (again,) = (tmp_path / kind / 'videos').iterdir()
        assert np.abs(VideoReader(str(again)).read(range(12)) - reference).mean() < 8


def test_decord_in_the_place_of_our_steps(scripts):
    _, accuracy = scripts
    steps = [
        dict(type='TolerantDecordInit', test_mode=True),
        dict(type='UniformSample'),
        dict(type='TolerantDecordDecode'),
    ]
    assert [step['type'] for step in accuracy.stock(steps)] == ['DecordInit', 'UniformSample', 'DecordDecode']
    assert accuracy.stock(steps)[0] == dict(type='DecordInit')
