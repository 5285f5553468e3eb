import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import decord
import numpy as np
import pytest

from textxfer_mm.datasets.toy_actions import (
    ACTIONS,
    SEEN_ACTIONS,
    UNSEEN_ACTIONS,
    files,
    render_clip,
    render_toy_actions,
)
from textxfer_mm.errors import UserError

SMALL = dict(train_clips=1, val_clips=1, zero_shot_clips=1, workers=2)
OPPOSITE = [
    ('walking to the left', 'walking to the right'),
    ('running to the left', 'running to the right'),
    ('jumping to the left', 'jumping to the right'),
]


def digests(root):
    root = Path(root)
    return {
        p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(root.rglob('[!.]*.mp4'))
    }


@pytest.fixture(scope='module')
def rendered(tmp_path_factory):
    return render_toy_actions(tmp_path_factory.mktemp('toy'), seed=3, **SMALL)


def test_classes_compose():
    assert len(SEEN_ACTIONS) >= 12
    assert len(UNSEEN_ACTIONS) == 4
    seen_words = set(' '.join(SEEN_ACTIONS).split())
    for name in UNSEEN_ACTIONS:
        assert name not in SEEN_ACTIONS
        assert set(name.split()) <= seen_words, 'every word of an unseen class is known from a seen one'


def test_lists_name_files_and_labels(rendered):
    for split, classes in (
        ('train', 'classes.txt'),
        ('val', 'classes.txt'),
        ('zero_shot', 'zero_shot_classes.txt'),
    ):
        names = (rendered / classes).read_text().splitlines()
        rows = [line.rsplit(' ', 1) for line in (rendered / f'{split}.txt').read_text().splitlines()]
        assert sorted(int(label) for _, label in rows) == list(range(len(names)))
        for path, label in rows:
            assert (rendered / path).is_file()
            assert names[int(label)].replace(' ', '_') in path


def test_decord_reads_every_video(rendered):
    videos = list(rendered.rglob('*.mp4'))
    assert len(videos) == 17 + 17 + 4
    for path in videos:
        reader = decord.VideoReader(str(path), num_threads=1)
        frames = reader.get_batch([0, len(reader) // 2, len(reader) - 1]).asnumpy()
        assert frames.shape == (3, 120, 160, 3)
        assert 1.7 < len(reader) / reader.get_avg_fps() < 2.3
        assert frames.std() > 5


def test_decoded_frames_are_the_rendered_ones(rendered):
    name = 'jumping jacks'
    clip = render_clip(name, (3, 0, 0))
    reader = decord.VideoReader(str(rendered / 'videos' / 'train' / 'jumping_jacks_0000.mp4'), num_threads=1)
    decoded = reader.get_batch(range(len(reader))).asnumpy()[..., ::-1]
    assert decoded.shape == clip.frames.shape
    assert np.abs(decoded.astype(float) - clip.frames).mean() < 8


def test_same_seed_same_files_other_seed_other_files(rendered, tmp_path):
    again = render_toy_actions(tmp_path / 'again', seed=3, **SMALL)
    assert digests(again) == digests(rendered)
    other = render_toy_actions(tmp_path / 'again', seed=4, **SMALL)
    assert not set(digests(other).values()) & set(digests(rendered).values())


def test_splits_and_classes_never_share_a_scene(rendered):
    assert len(set(digests(rendered).values())) == 38


def test_only_missing_and_broken_videos_are_rendered_again(tmp_path):
    root = render_toy_actions(tmp_path, seed=1, **SMALL)
    before = digests(root)
    videos = sorted(root.rglob('*.mp4'))
    videos[0].unlink()
    videos[1].write_bytes(videos[1].read_bytes()[:2000])
    times = {p: p.stat().st_mtime_ns for p in videos[2:]}
    calls = []
    render_toy_actions(tmp_path, seed=1, progress=lambda done, total: calls.append((done, total)), **SMALL)
    assert digests(root) == before
    assert {p: p.stat().st_mtime_ns for p in videos[2:]} == times
    assert calls[0][0] >= 36
    assert calls[-1] == (38, 38)


def test_more_clips_keep_those_that_are_there(tmp_path):
    few = digests(render_toy_actions(tmp_path, seed=1, **SMALL))
    more = digests(render_toy_actions(tmp_path, seed=1, **dict(SMALL, val_clips=2)))
    assert few.items() < more.items()
    assert len(more) == 38 + 17


@pytest.mark.skipif(os.name != 'posix', reason='sends SIGKILL')
def test_a_killed_run_is_finished_by_the_next_one(tmp_path):
    code = (
        'import sys; sys.argv = ["textxfer"]\n'
        'from textxfer_mm.datasets.toy_actions import render_toy_actions\n'
        f'render_toy_actions({str(tmp_path)!r}, seed=1, train_clips=6, val_clips=1, zero_shot_clips=1, workers=1)\n'
    )
    process = subprocess.Popen([sys.executable, '-c', code], start_new_session=True)
    deadline = time.time() + 60
    while len(list(tmp_path.rglob('[!.]*.mp4'))) < 5 and time.time() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert 5 <= len(digests(tmp_path)) < 100
    assert not (tmp_path / 'train.txt').exists()
    options = dict(seed=1, train_clips=6, val_clips=1, zero_shot_clips=1)
    render_toy_actions(tmp_path, **options)
    whole = render_toy_actions(tmp_path / 'whole', **options)
    assert {f'videos/{name}': digest for name, digest in digests(tmp_path / 'videos').items()} == digests(whole)


@pytest.mark.parametrize('call', range(8))
def test_a_run_killed_while_it_prepares_is_finished_by_the_next_one(tmp_path, monkeypatch, call):
    """Killed after the first, second, ... change of the files, with videos of other settings there and without."""
    drawn = []
    monkeypatch.setattr(files, 'render_jobs', lambda jobs, workers, done: drawn.extend(jobs))
    for name, settings in (('new', []), ('old', [0])):
        root = tmp_path / name
        for seed in settings:
            render_toy_actions(root, seed=seed, **SMALL)
            (root / 'videos' / 'train' / 'old.mp4').touch()
        left = call

        def until_killed(change):
            def changed(*args, **kwargs):
                nonlocal left
                result = change(*args, **kwargs)
                left -= 1
                if left < 0:
                    raise KeyboardInterrupt
                return result

            return changed

        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            patch.setattr(os, 'replace', until_killed(os.replace))
            patch.setattr(os, 'mkdir', until_killed(os.mkdir))
            patch.setattr(files.shutil, 'rmtree', until_killed(files.shutil.rmtree))
            render_toy_actions(root, seed=1, **SMALL)
        drawn.clear()
        render_toy_actions(root, seed=1, **SMALL)
        assert len(drawn) == 38
        assert not (root / 'videos' / 'train' / 'old.mp4').exists()


@pytest.mark.parametrize(('left', 'right'), OPPOSITE)
def test_one_frame_does_not_tell_left_from_right_but_motion_does(left, right):
    clips = {name: [render_clip(name, (0, 9, i)).centres[:, 0] for i in range(60)] for name in (left, right)}
    moved = {name: np.array([x[-1] - x[0] for x in paths]) for name, paths in clips.items()}
    assert (moved[left] < 0).mean() > 0.95
    assert (moved[right] > 0).mean() > 0.95
    middles = {name: np.array([x[len(x) // 2] for x in paths]) for name, paths in clips.items()}
    spread = middles[left].std()
    assert spread > 10
    assert abs(middles[left].mean() - middles[right].mean()) < 0.5 * spread
    anywhere = {name: np.array([x[i % len(x)] for i, x in enumerate(paths)]) for name, paths in clips.items()}
    everything = np.concatenate([anywhere[left], anywhere[right]])
    best = max(abs((anywhere[left] < cut).mean() - (anywhere[right] < cut).mean()) for cut in everything)
    assert (1 + best) / 2 < 0.7, 'no threshold on the position in one frame separates the pair'


@pytest.mark.parametrize('name', ['walking', 'running', 'jumping'])
def test_gaits_to_the_left_are_those_to_the_right_in_the_mirror(name):
    from textxfer_mm.datasets.toy_actions.figure import Body, joints
    from textxfer_mm.datasets.toy_actions.motions import Style

    rng = np.random.default_rng(0)
    body, style = Body.sample(rng), Style.sample(rng)
    poses = {}
    for direction in ('left', 'right'):
        poses[direction] = []
        for t in np.arange(400) / 400 * 20:
            pose = ACTIONS[f'{name} to the {direction}'](t, style)
            pose.x = 0.0
            limbs = joints(pose, body)
            poses[direction].append(np.concatenate([limbs[k].ravel() for k in ('hand', 'foot', 'knee')]))
    flip = np.tile([2, 3, 0, 1], 3) + np.repeat([0, 4, 8], 4)
    sign = np.tile([-1.0, 1.0], 6)
    left, right = np.array(poses['left']), np.array(poses['right'])
    gaps = np.abs(left[:, None, flip] * sign - right[None]).max(-1)
    assert np.median(gaps.min(1)) < 0.02, 'each pose to the left has its mirror image among those to the right'


def test_all_actions_stay_in_sight():
    for name in ACTIONS:
        shares = []
        for i in range(10):
            x = render_clip(name, (0, 8, i)).centres[:, 0]
            shares.append(((x > -10) & (x < 170)).mean())
        assert np.mean(shares) > 0.9, name


def test_foreign_videos_are_left_alone(tmp_path):
    (tmp_path / 'videos').mkdir()
    (tmp_path / 'videos' / 'mine.mp4').write_bytes(b'x')
    with pytest.raises(UserError, match='did not make'):
        render_toy_actions(tmp_path, **SMALL)
    assert (tmp_path / 'videos' / 'mine.mp4').exists()


@pytest.mark.parametrize('options', [dict(train_clips=0), dict(seed=-1)])
def test_senseless_settings(tmp_path, options):
    with pytest.raises(UserError, match='at least one clip'):
        render_toy_actions(tmp_path, **{**SMALL, **options})
