"""The tolerant decoding steps by themselves; whole runs are in test_corrupt_video.py."""

import re
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from test_video import killer
from tiny_runs import CORRUPT_KINDS, write_corrupt, write_video
from video_kinds import KINDS, cut, encode, number_of, numbered_frames

import textxfer_mm.register  # noqa: F401
from textxfer_mm.datasets import corrupt_record
from textxfer_mm.datasets.transforms_tolerant import MAX_IN_A_ROW
from textxfer_mm.datasets.transforms_video import with_exact_decoding
from textxfer_mm.errors import UserError

SAMPLE = dict(type='SampleFrames', clip_len=3, frame_interval=2, num_clips=2)


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmaction')


@pytest.fixture
def recording():
    """Stand in for the hook: an open record."""
    corrupt_record.open_for(1)
    yield lambda: corrupt_record.read(0)[0]
    corrupt_record.close()


def flat(test_mode):
    return Compose(
        [
            dict(type='TolerantDecordInit', test_mode=test_mode),
            dict(SAMPLE, test_mode=test_mode),
            dict(type='TolerantDecordDecode', test_mode=test_mode),
        ]
    )


def wrapped(test_mode, decoder='Decord'):
    steps = [dict(type=f'{decoder}Init'), dict(SAMPLE, test_mode=test_mode), dict(type=f'{decoder}Decode')]
    return Compose([dict(type='TolerantDecode', test_mode=test_mode, transforms=steps)])


def stock(test_mode):
    return Compose([dict(type='DecordInit'), dict(SAMPLE, test_mode=test_mode), dict(type='DecordDecode')])


def sample(path):
    return dict(filename=str(path), label=1, start_index=0, modality='RGB')


@pytest.mark.parametrize('build', [flat, wrapped])
@pytest.mark.parametrize('test_mode', [False, True])
def test_a_good_video_is_decoded_as_by_the_stock_steps(tmp_path, build, test_mode):
    write_video(tmp_path / 'good.mp4')
    np.random.seed(0)
    ours = build(test_mode)(sample(tmp_path / 'good.mp4'))
    np.random.seed(0)
    theirs = stock(test_mode)(sample(tmp_path / 'good.mp4'))
    assert ours.keys() == theirs.keys()
    np.testing.assert_array_equal(ours['frame_inds'], theirs['frame_inds'])
    np.testing.assert_array_equal(ours['imgs'], theirs['imgs'])


@pytest.mark.parametrize('build', [flat, wrapped])
@pytest.mark.parametrize('kind', CORRUPT_KINDS)
def test_every_kind_of_bad_file(tmp_path, recording, build, kind):
    path = tmp_path / f'{kind}.mp4'
    write_corrupt(path, kind)
    assert build(False)(sample(path)) is None
    results = build(True)(sample(path))
    assert len(results['imgs']) == 6  # 2 clips x 3 frames
    assert not np.any(results['imgs'])
    assert results['filename'] == str(path)
    assert results['img_shape'] == results['imgs'][0].shape[:2]
    assert [(entry['name'], entry['test']) for entry in recording()] == [(str(path), False), (str(path), True)]
    assert 'github' not in recording()[0]['reason']


@pytest.mark.parametrize('decoder', ['OpenCV', 'PyAV'])
def test_other_decoders(tmp_path, recording, decoder):
    if decoder == 'PyAV':
        pytest.importorskip('av')
    write_video(tmp_path / 'good.mp4')
    assert len(wrapped(True, decoder)(sample(tmp_path / 'good.mp4'))['imgs']) == 6
    write_corrupt(tmp_path / 'text.mp4', 'text')
    assert wrapped(False, decoder)(sample(tmp_path / 'text.mp4')) is None
    assert not np.any(wrapped(True, decoder)(sample(tmp_path / 'text.mp4'))['imgs'])


def test_frames_damaged_behind_a_sound_header(tmp_path, recording):
    """The file opens; only decoding its frames fails."""
    write_video(tmp_path / 'good.mp4', frames=40)
    opened = Compose(flat(True).transforms[:2])(sample(tmp_path / 'good.mp4'))
    opened['frame_inds'] = np.array([[10**6, 0]])  # beyond the end: decord refuses
    results = flat(True).transforms[2](dict(opened))
    assert len(results['imgs']) == 2
    assert not np.any(results['imgs'])
    assert flat(False).transforms[2](dict(opened)) is None


@pytest.mark.parametrize('test_mode', [False, True])
def test_raw_frames(tmp_path, recording, test_mode):
    (tmp_path / 'frames').mkdir()
    for index in range(1, 9):
        cv2.imwrite(str(tmp_path / 'frames' / f'img_{index:05}.jpg'), np.full((32, 40, 3), 100, np.uint8))
    steps = [dict(SAMPLE, test_mode=test_mode), dict(type='RawFrameDecode')]
    pipeline = Compose([dict(type='TolerantDecode', test_mode=test_mode, transforms=steps)])
    given = dict(total_frames=8, filename_tmpl='img_{:05}.jpg', start_index=1, modality='RGB', label=0)
    assert np.all(np.array(pipeline(dict(given, frame_dir=str(tmp_path / 'frames')))['imgs']) == 100)
    results = pipeline(dict(given, frame_dir=str(tmp_path / 'none')))
    if test_mode:
        assert not np.any(results['imgs'])
        assert (results['frame_dir'], results['filename_tmpl']) == (str(tmp_path / 'none'), 'img_{:05}.jpg')
    else:
        assert results is None


@pytest.mark.parametrize('build', [flat, wrapped])
def test_without_the_hook_the_first_bad_file_is_an_error(tmp_path, build):
    corrupt_record.close()
    (tmp_path / 'empty.mp4').touch()
    with pytest.raises(UserError, match=r'cannot decode .*empty\.mp4 \(empty file\).*CorruptVideoHook'):
        build(False)(sample(tmp_path / 'empty.mp4'))


def test_failures_in_a_row_are_forgotten_after_a_success(tmp_path, recording):
    write_video(tmp_path / 'good.mp4')
    pipeline = wrapped(False)
    for _ in range(MAX_IN_A_ROW - 1):
        assert pipeline(sample(tmp_path / 'missing.mp4')) is None
    assert pipeline(sample(tmp_path / 'good.mp4')) is not None
    assert pipeline(sample(tmp_path / 'missing.mp4')) is None


def test_a_wrapper_without_a_decoding_step(tmp_path, recording):
    write_video(tmp_path / 'good.mp4')
    pipeline = Compose([dict(type='TolerantDecode', transforms=[dict(type='DecordInit')])])
    with pytest.raises(UserError, match='must wrap the decoding step too'):
        pipeline(sample(tmp_path / 'good.mp4'))


def write_avi(path):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'XVID'), 10, (64, 32))
    for index in range(20):
        writer.write(np.random.default_rng(index).integers(0, 255, (32, 64, 3), dtype=np.uint8))
    writer.release()


@pytest.mark.parametrize('suffix', ['avi', 'mp4'])
@pytest.mark.parametrize('unfinished', [False, True])
def test_a_truncated_avi_is_corrupt(tmp_path, recording, unfinished, suffix):
    """decord dies of a segmentation fault on it."""
    write_avi(tmp_path / 'good.avi')
    assert len(flat(True)(sample(tmp_path / 'good.avi'))['imgs']) == 6
    data = bytearray((tmp_path / 'good.avi').read_bytes())
    if unfinished:
        data[4:8] = struct.pack('<I', 0)
    (tmp_path / f'bad.{suffix}').write_bytes(data[: len(data) // 2])
    for build in (flat, wrapped):
        assert build(False)(sample(tmp_path / f'bad.{suffix}')) is None
    assert all(re.match(r'truncated: it holds \d+ of the 20 frames', entry['reason']) for entry in recording())


ASKED = [3, 10, 17, 25, 32, 39, 47, 54]


@pytest.mark.parametrize('decoder', ['Decord', 'PyAV'])
@pytest.mark.parametrize('kind', ['xvid_b_frames_avi', 'mpeg4_b_frames_mkv', 'h264_open_groups_mp4', 'h264_ts'])
def test_the_asked_frames_where_decord_gives_others(tmp_path, recording, kind, decoder):
    path = encode(tmp_path / f'video{KINDS[kind].suffix}', kind, numbered_frames(60))

    def asked(results):
        return dict(results, frame_inds=np.array(ASKED))

    for test_mode in (False, True):
        two = [dict(type='TolerantDecordInit', test_mode=test_mode), asked]
        two.append(dict(type='TolerantDecordDecode', test_mode=test_mode))
        one = [dict(type=f'{decoder}Init'), asked, dict(type=f'{decoder}Decode')]
        for steps in (two, [dict(type='TolerantDecode', transforms=one, test_mode=test_mode)]):
            results = Compose(steps)(sample(path))
            assert results['total_frames'] == 60
            found = [number_of(frame, 60) for frame in results['imgs']]
            assert max(abs(a - b) for a, b in zip(found, ASKED, strict=True)) <= 1
    noted = recording()
    assert [(entry['kind'], entry['test']) for entry in noted] == [('unusual', False), ('unusual', True)]


@pytest.mark.parametrize('when', ['_facts', '_read'])
def test_a_file_that_kills_its_decoder_is_one_corrupt_file(tmp_path, recording, monkeypatch, when):
    monkeypatch.setattr(f'textxfer_mm.video.guard.{when}', killer.dies)
    whole = encode(tmp_path / 'whole.mp4', 'h264_mp4', numbered_frames(40))
    clip = cut(whole, tmp_path / 'clip.mp4', 20, keep_lead=True)
    for build in (flat, wrapped):
        assert build(False)(sample(clip)) is None
        assert not np.any(build(True)(sample(clip))['imgs'])
        assert build(False)(sample(whole)) is not None
    assert {entry['reason'] for entry in recording() if entry['kind'] == 'corrupt'} == {
        'it kills its decoder (SIGABRT)'
    }
    corrupt_record.close()
    with pytest.raises(UserError, match=r'cannot decode .*clip\.mp4 \(it kills its decoder \(SIGABRT\)\)'):
        flat(False)(sample(clip))


def test_the_frames_of_a_cut_clip_are_sampled_from_those_it_shows(tmp_path):
    whole = encode(tmp_path / 'whole.mp4', 'h264_one_group_mp4', numbered_frames(60))
    clip = cut(whole, tmp_path / 'clip.mp4', 30, keep_lead=True)
    steps = [dict(type='TolerantDecordInit', test_mode=True), dict(type='UniformSample', clip_len=6, test_mode=True)]
    found = Compose([*steps, dict(type='TolerantDecordDecode', test_mode=True)])(sample(clip))
    numbers = [number_of(frame, 60) for frame in found['imgs']]
    assert numbers == sorted(set(numbers))
    assert 60 - found['total_frames'] <= numbers[0] + 1
    assert numbers[-1] > 50


def test_another_storage_backend(tmp_path):
    write_video(tmp_path / 'good.mp4')
    steps = [dict(type='TolerantDecordInit', io_backend='memory'), dict(SAMPLE), dict(type='TolerantDecordDecode')]
    pipeline = Compose(steps)
    pipeline.transforms[0].file_client = type('Client', (), dict(get=lambda self, name: Path(name).read_bytes()))()
    np.random.seed(0)
    ours = pipeline(sample(tmp_path / 'good.mp4'))
    np.random.seed(0)
    np.testing.assert_array_equal(ours['imgs'], flat(False)(sample(tmp_path / 'good.mp4'))['imgs'])


def test_a_name_without_a_suffix(tmp_path):
    """The file itself where there is one; else that of the name with .mp4, as for the stock step."""
    write_video(tmp_path / 'dance.mp4')
    assert flat(True)(sample(tmp_path / 'dance'))['total_frames'] > 0
    (tmp_path / 'dance.mp4').rename(tmp_path / 'dance')
    assert flat(True)(sample(tmp_path / 'dance'))['total_frames'] > 0


def test_stock_steps_that_take_key_frames_only_are_left_alone():
    steps = [dict(type='DecordInit'), dict(type='DecordDecode', mode='efficient')]
    assert with_exact_decoding(steps) == steps
    assert with_exact_decoding([dict(type='DecordInit', num_threads=2), dict(type='DecordDecode')]) == [
        dict(type='ExactVideoInit', num_threads=2),
        dict(type='ExactVideoDecode'),
    ]
    other = dict(type='Pad', mode='reflect')  # the mode of another step is no business of decoding
    assert with_exact_decoding([dict(type='DecordInit'), dict(type='DecordDecode'), other]) == [
        dict(type='ExactVideoInit'),
        dict(type='ExactVideoDecode'),
        other,
    ]
    steps = [dict(type='PyAVInit'), dict(type='PyAVDecode', multi_thread=True, mode='accurate')]
    assert with_exact_decoding(steps)[1] == dict(type='ExactVideoDecode', mode='accurate')
    with pytest.raises(UserError, match=r"TolerantDecordDecode gives the frames asked for, so mode='efficient'"):
        Compose([dict(type='TolerantDecordDecode', mode='efficient')])
