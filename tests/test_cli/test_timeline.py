"""``textxfer timeline``: from the command line to a table, files and messages."""

import csv
import json

import numpy as np
import pytest
from PIL import Image
from tiny import CLIP_NAME
from tiny_runs import write_corrupt, write_video
from typer.testing import CliRunner

from textxfer_mm.cli.main import app


def run(*args):
    result = CliRunner().invoke(app, ['timeline', *map(str, args)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def clip(weights):
    """The options of a tiny CLIP with two labels."""
    return ('--labels', 'waving, clapping', '--model', CLIP_NAME, '--pretrained', weights)


@pytest.fixture
def video(tmp_path):
    write_video(tmp_path / 'a.mp4', frames=60)  # 6 s
    return tmp_path / 'a.mp4'


def test_a_video_and_labels_give_segments(clip, video, tmp_path):
    files = {option: tmp_path / 'out' / name for option, name in dict(json='a.json', csv='a.csv', vtt='a.vtt').items()}
    outputs = [word for option, file in files.items() for word in (f'--{option}', file)]
    plot = tmp_path / 'a.png'
    result = run(video, *clip, '--window', 2, '--stride', 1, *outputs, '--plot', plot)
    assert result.exit_code == 0, result.output
    assert '5 windows of 2.00 s, one every 1.00 s; 60 frames, 28 encoded.' in result.output  # 12 of 40 are shared
    data = json.loads(files['json'].read_text())
    assert data['labels'] == ['waving', 'clapping']
    assert [segment['label'] in data['labels'] for segment in data['segments']] == [True] * len(data['segments'])
    assert (data['segments'][0]['start'], data['segments'][-1]['end']) == (0, 6)
    assert np.array(data['windows']['scores']).sum(1) == pytest.approx(np.ones(5), abs=1e-4)
    rows = list(csv.DictReader(files['csv'].open()))
    assert [row['label'] for row in rows] == [segment['label'] for segment in data['segments']]
    assert all(row['label'] in result.output for row in rows)
    assert files['vtt'].read_text().startswith('WEBVTT\n\n00:00:00.000 --> 00:00:')
    assert Image.open(plot).size[0] > 1000
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a.mp4', 'a.png', 'out']


def test_none_of_these(clip, video, tmp_path):
    out = tmp_path / 'a.json'
    result = run(video, *clip, '--threshold', 1, '--json', out, '--vtt', tmp_path / 'a.vtt')
    assert result.exit_code == 0, result.output
    assert [segment['label'] for segment in json.loads(out.read_text())['segments']] == [None]
    assert 'none of these' in result.output
    assert (tmp_path / 'a.vtt').read_text() == 'WEBVTT\n'


def test_a_window_that_is_too_long_is_told(clip, video):
    result = run(video, *clip, '--window', 60)
    assert result.exit_code == 0
    assert 'The video is 6.00 s long, shorter than the window of 60.00 s: it is one window.' in result.output
    assert '1 window of 6.00 s; 60 frames, 8 encoded.' in result.output


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (('--threshold', '1.5'), '--threshold 1.5 is no score: scores are from 0 to 1, and so is the threshold.'),
        (('--threshold', 'nan'), '--threshold nan is no score'),
        (('--window', '0'), '--window 0 is no length of time: give seconds above 0.'),
        (('--stride', '-2'), '--stride -2 is no length of time'),
        (('--smoothing', '-1'), '--smoothing -1 is no length of time: give seconds, 0 for none.'),
        (('--min-length', 'nan'), '--min-length nan is no length of time'),
        (('--plot', 'a.jpg'), '--plot a.jpg: figures are PNG files'),
        (('--json', '/dev/null'), '--json /dev/null is a device or a pipe'),
        (('--json', 'a.xml'), '--json a.xml: give a name that ends in .json.'),
        (('--csv', 'new/a.json'), '--csv new/a.json: give a name that ends in .csv.'),
        (('--vtt', 'a.srt'), '--vtt a.srt: give a name that ends in .vtt.'),
        (('--vtt', '.'), '--vtt . is a folder; give the path of a file.'),
        (('--labels-file', 'b.txt'), 'Give --labels or --labels-file, not both.'),
    ],
)
def test_mistakes_end_in_one_line_before_anything_is_loaded(video, monkeypatch, tmp_path, options, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('textxfer_mm.cli.model_options.ChosenModel.load', None)
    result = run('a.mp4', '--labels', 'a,b', *options)
    assert result.exit_code == 2
    assert result.stderr.startswith(f'error: {message}')
    assert result.stderr.count('\n') == 1
    assert [path.name for path in tmp_path.iterdir()] == ['a.mp4']


def test_what_is_no_video_ends_in_one_line(clip, video, tmp_path):
    write_corrupt(tmp_path / 'text.mp4', 'text')
    (tmp_path / 'a.png').touch()
    for name, message in (
        ('text.mp4', f'cannot decode {tmp_path / "text.mp4"} (a text file, not a video).'),
        ('a.mp5', f'video {tmp_path / "a.mp5"} does not exist. Did you mean: a.mp4'),
        ('a.png', f'{tmp_path / "a.png"} is an image, which has no timeline: give a video.'),
        ('', f'video {tmp_path} is a folder; give a file of it: a.mp4'),
    ):
        result = run(tmp_path / name, *clip, '--json', tmp_path / 'a.json')
        assert result.exit_code == 2
        assert result.stderr.startswith(f'error: {message}'), result.stderr
        assert result.stderr.count('\n') == 1
    assert not (tmp_path / 'a.json').exists()
    result = run(video)
    assert 'Say which labels to look for' in result.stderr
