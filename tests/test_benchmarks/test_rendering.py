"""The script that times the rendering of scenes."""

import os
import subprocess
import sys
import time

import pytest
from scripts import ROOT, load_script


def test_what_is_rendered_and_how_often():
    script = load_script('benchmarks/rendering.py')
    assert script.render_one('stills', [0, 0], 48).shape == (1, 48, 48, 3)
    assert script.render_one('clips', [0, 0], 64).shape == (8, 64, 64, 3)
    start = time.perf_counter()
    done, took = script.count('clips', 0, 0.2, 32)
    assert 0.2 <= took <= time.perf_counter() - start
    assert 1 <= done < 20_000


def test_the_table():
    words = [sys.executable, 'benchmarks/rendering.py', '--seconds', '0.1', '--processes', '1', '2', '--size', '32']
    env = {**os.environ, 'PYTHONPATH': str(ROOT)}
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=300, env=env)
    assert done.returncode == 0, done.stderr
    head, *lines = [line.split() for line in done.stdout.splitlines()]
    assert head == ['processes', 'a', 'second', 'images/s', 'x', '500/s']
    assert [line[:2] for line in lines] == [[kind, n] for kind in ('stills', 'clips') for n in '12']
    for kind, _, rate, images, ratio in lines:
        frames = 8 if kind == 'clips' else 1
        assert float(images) == pytest.approx(frames * float(rate), abs=frames)
        assert float(ratio) == pytest.approx(float(images) / 500, abs=0.06)
