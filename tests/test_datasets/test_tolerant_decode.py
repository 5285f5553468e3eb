"""The tolerant decoding steps by themselves; whole runs are in test_corrupt_video.py."""

import struct

import cv2
import numpy as np
import pytest
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from tiny_runs import CORRUPT_KINDS, write_corrupt, write_video

import textxfer_mm.register  # noqa: F401
from textxfer_mm.datasets import corrupt_record
from textxfer_mm.datasets.transforms_tolerant import MAX_IN_A_ROW
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


@pytest.mark.parametrize('unfinished', [False, True])
def test_a_truncated_avi_does_not_reach_decord(tmp_path, recording, unfinished):
    """decord dies of a segmentation fault on it."""
    write_avi(tmp_path / 'good.avi')
    assert len(flat(True)(sample(tmp_path / 'good.avi'))['imgs']) == 6
    data = bytearray((tmp_path / 'good.avi').read_bytes())
    if unfinished:
        data[4:8] = struct.pack('<I', 0)
    (tmp_path / 'bad.avi').write_bytes(data[: len(data) // 2])
    for build in (flat, wrapped):
        assert build(False)(sample(tmp_path / 'bad.avi')) is None
    assert all('truncated AVI' in entry['reason'] for entry in recording())


def test_the_inferencer_swaps_the_drop_in_steps_for_stock_ones():
    from mmaction.apis.inferencers import ActionRecogInferencer
    from mmengine.config import Config

    inferencer = ActionRecogInferencer.__new__(ActionRecogInferencer)
    inferencer.input_format, inferencer.pack_cfg = 'video', {}
    steps = [dict(type='TolerantDecordInit', test_mode=True), SAMPLE, dict(type='TolerantDecordDecode', test_mode=True)]
    cfg = Config(dict(test_dataloader=dict(dataset=dict(pipeline=steps)), model=dict(type='Recognizer3D')))
    names = [type(step).__name__ for step in inferencer._init_pipeline(cfg).transforms]
    assert names == ['InferencerPackInput', 'DecordInit', 'SampleFrames', 'DecordDecode']
