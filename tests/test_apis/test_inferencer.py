"""Every kind of shipped config in MMAction2's own inference, and the same scores as in ours."""

import copy

import numpy as np
import pytest
import torch
from mmengine.dataset import Compose
from tiny_configs import CONFIGS, leaf, load, one_of_each_kind, shrink_frames, tiny_recognizer
from tiny_runs import write_video
from video_kinds import encode

from textxfer_mm.apis import VideoFailure, load_recognizer, predict_videos
from textxfer_mm.errors import UserError
from textxfer_mm.video.reader import VideoReader

from mmaction.apis import MMAction2Inferencer, inference_recognizer, init_recognizer  # isort: skip


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp('videos') / 'a.mp4'
    write_video(path, frames=20)
    return str(path)


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp('classifiers')


def tiny(name):
    cfg = tiny_recognizer(copy.deepcopy(load(name)))
    for pipeline in (cfg.test_pipeline, leaf(cfg.test_dataloader.dataset).pipeline):
        shrink_frames(pipeline)
    return cfg


def single_view(pipeline):
    """What MMAction2's inferencer makes of a test pipeline: one clip of SampleFrames, the centre for several crops."""
    steps = [dict(step) for step in pipeline]
    for step in steps:
        if step['type'] in ('ThreeCrop', 'TenCrop'):
            step['type'] = 'CenterCrop'
        if step['type'] == 'SampleFrames' and step['clip_len'] > 1:
            step['num_clips'] = 1
    return Compose(steps)


def inferencer_scores(video, *args):
    """Scores (K,) of MMAction2's inferencer."""
    predictions = MMAction2Inferencer(*args, device='cpu')(video)['predictions']
    return torch.tensor(predictions[0]['rec_scores'][0])


#: MMAction2's inferencer takes the pipeline of the test list, which must be one of videos without a wrapper around it.
OF_VIDEOS = [
    c
    for c in CONFIGS
    if 'test_pipeline' in load(c)
    and 'ann_file' in load(c).test_dataloader.dataset
    and load(c).test_pipeline[0].type != 'LoadImageFromFile'
]


@pytest.mark.parametrize('name', one_of_each_kind(OF_VIDEOS, 'test'))
def test_stock_inference(name, video, cache, tmp_path, monkeypatch):
    monkeypatch.setenv('TEXTXFER_CACHE', str(cache))
    model = load_recognizer(tiny(name), device='cpu')
    (ours,) = predict_videos(model, [video])
    want = torch.tensor(ours.scores)
    assert len(want) == len(ours.class_names) > 1
    assert want.sum() == pytest.approx(1, abs=1e-3)
    checkpoint = tmp_path / 'model.pth'
    torch.save(dict(state_dict=model.state_dict()), checkpoint)

    recognizer = init_recognizer(tiny(name), str(checkpoint), device='cpu')
    torch.testing.assert_close(inference_recognizer(recognizer, video).pred_score, want, atol=1e-5, rtol=0)

    want = inference_recognizer(recognizer, video, single_view(recognizer.cfg.test_pipeline)).pred_score
    got = inferencer_scores(video, tiny(name), str(checkpoint))
    torch.testing.assert_close(got, want, atol=1e-5, rtol=0)


@pytest.mark.parametrize('name', [c for c in CONFIGS if c.startswith('quickstart/zero_shot')])
def test_zero_shot_needs_no_checkpoint(name, video, cache, monkeypatch):
    monkeypatch.setenv('TEXTXFER_CACHE', str(cache))
    (ours,) = predict_videos(load_recognizer(tiny(name), device='cpu'), [video])
    got = inferencer_scores(video, tiny(name))
    torch.testing.assert_close(got, torch.tensor(ours.scores), atol=1e-5, rtol=0)


ZERO_SHOT = 'quickstart/zero_shot_efficientnet-lite0_conse_minilm.py'


@pytest.fixture
def model(cache, monkeypatch):
    monkeypatch.setenv('TEXTXFER_CACHE', str(cache))
    return load_recognizer(tiny(ZERO_SHOT), device='cpu')


def test_a_folder_and_seeking_in_the_stock_inferencer(model, tmp_path):
    """decord would have given it other frames of the AVI file."""
    frames = np.random.default_rng(0).integers(0, 255, (60, 64, 96, 3), dtype=np.uint8)
    encode(tmp_path / 'a.avi', 'xvid_b_frames_avi', frames)
    encode(tmp_path / 'b.mp4', 'h264_mp4', frames)
    (tmp_path / 'notes.txt').write_text('no video')
    want = [prediction.scores for prediction in predict_videos(model, [tmp_path / 'a.avi', tmp_path / 'b.mp4'])]
    found = MMAction2Inferencer(tiny(ZERO_SHOT), device='cpu')(str(tmp_path))['predictions']
    got = [prediction['rec_scores'][0] for prediction in found]
    torch.testing.assert_close(torch.tensor(got), torch.tensor(want), atol=1e-5, rtol=0)


def test_mistakes_in_the_stock_inferencer(tmp_path):
    inferencer = MMAction2Inferencer(tiny(ZERO_SHOT), device='cpu')
    with pytest.raises(UserError, match=r'The folder .* holds no video'):
        inferencer(str(tmp_path))
    (tmp_path / 'a.mp4').write_text('hello')
    with pytest.raises(UserError, match=r'cannot decode .*a\.mp4 \(a text file, not a video\)'):
        inferencer(str(tmp_path / 'a.mp4'))


def test_frames_in_memory(model, video):
    frames = VideoReader(video).read(range(20))
    by_path, by_frames = predict_videos(model, [video, frames])
    assert (by_frames.video, by_frames.class_names) == ('array 1', by_path.class_names)
    torch.testing.assert_close(torch.tensor(by_frames.scores), torch.tensor(by_path.scores), atol=1e-6, rtol=0)
    wrapped = tiny(ZERO_SHOT)
    pipeline = list(wrapped.test_pipeline)
    wrapped.test_pipeline = [dict(type='TolerantDecode', transforms=pipeline[:3], test_mode=True), *pipeline[3:]]
    for prediction in predict_videos(load_recognizer(wrapped, device='cpu'), [video, frames]):
        torch.testing.assert_close(torch.tensor(prediction.scores), torch.tensor(by_path.scores), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ('shape', 'dtype'),
    [((20, 3, 64, 64), 'uint8'), ((64, 64, 3), 'uint8'), ((4, 8, 8, 3), 'float32'), ((0, 8, 8, 3), 'uint8')],
)
def test_arrays_that_are_no_videos(model, shape, dtype):
    with pytest.raises(UserError, match=r'array 0 has shape .* a video is RGB frames \(T, H, W, 3\) of type uint8'):
        next(predict_videos(model, [np.zeros(shape, dtype)]))


@pytest.mark.parametrize('stock', [False, True])
def test_a_video_that_cannot_be_decoded(model, tmp_path, stock):
    cfg = tiny(ZERO_SHOT)
    if stock:
        for step in cfg.test_pipeline[:3]:
            step.type = step.type.removeprefix('Tolerant')
            step.pop('test_mode', None)
        model = load_recognizer(cfg, device='cpu')
    (failure,) = predict_videos(model, [tmp_path / 'none.mp4'])
    assert failure == VideoFailure(str(tmp_path / 'none.mp4'), 'missing file')
