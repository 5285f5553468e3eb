"""``textxfer predict`` over many files: kill and resume, shards, labelled copies, progress, early refusals."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from mmengine.runner.checkpoint import save_checkpoint
from PIL import Image
from tiny_images import ARCH, NAMES
from tiny_runs import write_corrupt, write_video
from typer.testing import CliRunner
from video_kinds import encode

from textxfer_mm.apis.inference import load_recognizer
from textxfer_mm.apis.model_configs import clip_zero_shot_config
from textxfer_mm.cli.main import app
from textxfer_mm.cli.model_options import ChosenModel
from textxfer_mm.video.reader import VideoReader

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    cfg = clip_zero_shot_config(ARCH, None, NAMES)
    model = load_recognizer(cfg, device='cpu')
    model.init_weights()
    path = tmp_path_factory.mktemp('model') / 'a.pth'
    save_checkpoint(dict(state_dict=model.state_dict(), meta=dict(cfg=cfg.pretty_text)), str(path))
    return path


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    """A folder with a subfolder of videos of one name, an image and a damaged file."""
    folder = tmp_path_factory.mktemp('data') / 'videos'
    (folder / 'sub').mkdir(parents=True)
    for number, name in enumerate(['0.mp4', '1.mp4', 'sub/0.mp4']):
        write_video(folder / name, number % 2, seed=number)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (33, 65, 3), dtype=np.uint8)).save(folder / 'a.png')
    return folder


@pytest.fixture
def predict(checkpoint):
    def predict(*words, status=0):
        result = CliRunner().invoke(app, ['predict', *map(str, words), '--checkpoint', str(checkpoint)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == status, result.output + result.stderr
        return result

    return predict


def test_several_paths_and_lines_as_they_come(predict, videos, tmp_path):
    write_corrupt(tmp_path / 'bad.mp4', 'truncated')
    out = tmp_path / 'out.jsonl'
    table = tmp_path / 'out.csv'
    result = predict(f'{videos}/*.mp4', tmp_path / 'bad.mp4', videos / 'sub', '--json', out, '--csv', table, status=2)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    wanted = [videos / '0.mp4', videos / '1.mp4', tmp_path / 'bad.mp4', videos / 'sub' / '0.mp4']
    assert [row['video'] for row in rows] == list(map(str, wanted))
    assert [list(row) for row in rows] == [['video', 'scores']] * 2 + [['video', 'error']] + [['video', 'scores']]
    assert [row['error'] for row in csv.DictReader(table.open()) if row['error']] == [rows[2]['error']]
    assert '1 of 4 videos could not be decoded' in result.stderr
    assert predict(videos, '--json', tmp_path / 'all.json', '--amp', '--batch-size', 3, '--workers', 1)
    assert len(json.loads((tmp_path / 'all.json').read_text())) == 4


def test_images_are_not_called_videos(predict, videos, tmp_path):
    (tmp_path / 'b.png').write_bytes(b'\x89PNG')
    result = predict(videos / 'a.png', tmp_path / 'b.png', status=2)
    assert '1 of 2 images could not be decoded' in result.stderr
    assert 'video' not in (result.output + result.stderr).replace(str(videos), '')


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['labels.txt'], 'The list labels.txt names waving, which is no video and no image by its name'),
        (['text.mp4'], 'text.mp4 is a text file, neither a video nor an image'),
        (['a.mp4', '--labels', 'labels.txt'], '--labels labels.txt looks like a file: give it as --labels-file'),
        (['a.mp4', '--labels', 'a,,b'], 'empty'),
        (['a.mp4', '--labels', 'a,A'], "Duplicate class names: 'a' (class 0) and 'A' (class 1)"),
        (['a.mp4', '--labels', 'a,b', '--resume'], '--resume goes on with a file of scores: give --json or --csv'),
        (['a.mp4', '--labels', 'a,b', '--shards', 's', '--csv', 'b.csv'], '--shards writes JSON lines to its folder'),
        (['a.mp4', '--labels', 'a,b', '--save-video', '.'], '--save-video . would write over a.mp4'),
        (['a.mp4', '--labels', 'a,b', '--save-video', 'text.mp4'], '--save-video text.mp4 is no folder'),
    ],
)
def test_refused_before_the_model_is_loaded(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ChosenModel, 'load', lambda *_: pytest.fail('the model was loaded'))
    Path('labels.txt').write_text('waving\nrunning\n')
    Path('text.mp4').write_text('no video\n')
    write_video('a.mp4')
    result = CliRunner().invoke(app, ['predict', *words, *([] if '--labels' in words else ['--labels', 'a,b'])])
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_killed_run_goes_on(checkpoint, predict, tmp_path):
    """Killed without a word (SIGKILL) while it writes: nothing is lost, nothing is done twice."""
    (tmp_path / 'videos').mkdir()
    write_video(tmp_path / 'videos' / '000.mp4', frames=20)
    content = (tmp_path / 'videos' / '000.mp4').read_bytes()
    for number in range(1, 400):
        (tmp_path / 'videos' / f'{number:03}.mp4').write_bytes(content)
    out, table = tmp_path / 'out.jsonl', tmp_path / 'out.csv'
    words = [
        'predict',
        tmp_path / 'videos',
        '--checkpoint',
        checkpoint,
        '--json',
        out,
        '--csv',
        table,
        '--workers',
        '1',
    ]
    code = 'from textxfer_mm.cli.main import main; main()'
    env = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    running = subprocess.Popen([sys.executable, '-c', code, *map(str, words)], env=env, stdout=subprocess.DEVNULL)
    end = time.monotonic() + 300
    while not (table.is_file() and table.read_bytes().count(b'\n') > 40):
        assert running.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    with out.open('r+b') as file:  # as if it had been killed within the line
        file.truncate(out.stat().st_size - 9)
    before = out.read_bytes()
    kept = before.count(b'\n')
    assert 0 < kept < 400
    result = predict(*words[1:2], *words[4:], '--resume')
    assert f'{kept:,} of 400 videos were done before' in result.output
    assert out.read_bytes().startswith(before[: before.rfind(b'\n') + 1])
    names = [json.loads(line)['video'] for line in out.read_text().splitlines()]
    assert names == sorted(str(file) for file in (tmp_path / 'videos').iterdir())
    ranked = [row['video'] for row in csv.DictReader(table.open())]
    assert ranked == [name for name in names for _ in NAMES]
    again = predict(*words[1:2], *words[4:], '--resume')
    assert '400 of 400 videos were done before. Nothing is left.' in again.output
    assert len(out.read_text().splitlines()) == 400


def test_an_interrupted_run_says_how_to_go_on(predict, videos, tmp_path, monkeypatch):
    from textxfer_mm.apis.recognizer import Recognizer

    stream = Recognizer.stream

    def interrupted(self, media):
        yield next(stream(self, media))
        raise KeyboardInterrupt

    monkeypatch.setattr(Recognizer, 'stream', interrupted)
    result = predict(videos, '--json', tmp_path / 'out.jsonl', status=130)
    assert f'What was done is in {tmp_path / "out.jsonl"}; --resume goes on with it.' in result.stderr
    assert len((tmp_path / 'out.jsonl').read_text().splitlines()) == 1


def test_processes_share_shards(predict, videos, tmp_path, monkeypatch):
    for variables in (dict(RANK='0', WORLD_SIZE='2'), dict(RANK='1', WORLD_SIZE='2')):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        result = predict(videos, '--shards', tmp_path / 'shards')
        assert f'This was process {variables["RANK"]} of 2. 1 of 1 shards are there.' in result.output
    (shard,) = (tmp_path / 'shards').glob('*.jsonl')
    assert shard.name == 'scores-00000-of-00001.jsonl'
    assert len(shard.read_text().splitlines()) == 4
    assert json.loads((tmp_path / 'shards' / 'shards.json').read_text())['labels'] == list(NAMES)


class TestLabelledCopies:
    def test_videos_and_images(self, predict, videos, tmp_path):
        result = predict(videos, '--save-video', tmp_path / 'out')
        assert f'Wrote 4 labelled copies to {tmp_path / "out"}' in result.output
        for name in ('0.mp4', '1.mp4', 'sub/0.mp4'):
            with av.open(str(tmp_path / 'out' / name)) as container:
                stream = container.streams.video[0]
                assert (stream.codec_context.name, stream.pix_fmt) == ('h264', 'yuv420p')
                assert stream.average_rate == 10
            copy, original = (VideoReader(str(folder / name)) for folder in (tmp_path / 'out', videos))
            assert len(copy) == len(original) == 10
            frame, before = (reader.read([5])[0].astype(int) for reader in (copy, original))
            change = np.abs(frame - before).mean(-1)
            assert change[:12, :40].mean() > 1.4 * change[-12:].mean()  # the labels are above
        assert Image.open(tmp_path / 'out' / 'a.png').size == (65, 33)

    def test_times_sides_and_names(self, tmp_path):
        """Frames of unequal length, odd sides; files of one name in one folder."""
        from textxfer_mm.apis import VideoPrediction
        from textxfer_mm.apis.labelled_media import labelled_paths, save_labelled

        frames = np.random.default_rng(0).integers(0, 255, (12, 45, 81, 3), dtype=np.uint8)
        with av.open(str(tmp_path / 'a.mkv'), 'w') as container:
            stream = container.add_stream('ffv1', rate=30)
            stream.width, stream.height, stream.pix_fmt = 81, 45, 'bgr0'
            for number, frame in enumerate(frames):
                picture = av.VideoFrame.from_ndarray(frame, format='rgb24').reformat(format='bgr0')
                picture.pts, picture.time_base = (0, 1, 3, 4, 6, 9, 10, 11, 12, 15, 16, 20)[number], Fraction(1, 30)
                container.mux(stream.encode(picture))
            container.mux(stream.encode())
        video = str(tmp_path / 'a.mkv')
        names = ('走路 ' * 40, 'b')
        save_labelled(VideoPrediction(video, names, (0.25, 0.75)), tmp_path / 'out' / 'a.mp4')
        copy, original = VideoReader(str(tmp_path / 'out' / 'a.mp4')), VideoReader(video)
        assert copy.read([0]).shape == (1, 46, 82, 3)
        times = original.seconds()
        np.testing.assert_allclose(copy.seconds(), times - times[0], atol=2e-3)
        below = ['a.mkv', 'a.avi', 'a.mp4', 'a.jpg', '../sub/a.avi', '../b/a.mp4', 'b/a.mp4', 'b/a.MP4']
        found = labelled_paths(Path('out'), [tmp_path / name for name in below], below)
        assert [path.relative_to('out').as_posix() for path in found] == [
            *('a.mkv.mp4', 'a.avi.mp4', 'a.mp4', 'a.png', 'sub/a.mp4'),
            *('b/a.mp4', 'b/a (2).mp4', 'b/a (3).mp4'),
        ]

    def test_a_copy_that_fails_costs_itself(self, predict, tmp_path):
        """The frames that the model sees are there, the last ones are not."""
        frames = np.random.default_rng(0).integers(0, 255, (30, 64, 96, 3), dtype=np.uint8)
        encode(tmp_path / 'a.mp4', 'h264_mp4', frames)
        write_video(tmp_path / 'b.mp4')
        import textxfer_mm.apis.labelled_media as labelled
        from textxfer_mm.video.unreadable import UnreadableVideoError

        def unreadable(video, path, lines):
            raise UnreadableVideoError('damaged: frame 29 of 30 cannot be decoded')

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(labelled, '_save_video', unreadable)
            result = predict(tmp_path / 'a.mp4', '--save-video', tmp_path / 'out')
        assert 'a.mp4 gives scores but no labelled copy: damaged: frame 29' in result.output.replace('\n', ' ')
        assert 'Wrote 0 labelled copies' in result.output
