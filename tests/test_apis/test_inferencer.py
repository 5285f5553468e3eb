"""Every kind of shipped config in MMAction2's own inference, and the same scores as in ours."""

import copy

import pytest
import torch
from mmengine.dataset import Compose
from tiny_configs import CONFIGS, leaf, load, one_of_each_kind, shrink_frames, tiny_recognizer
from tiny_runs import write_video

from textxfer_mm.apis import load_recognizer, predict_videos

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


@pytest.mark.parametrize('name', one_of_each_kind(CONFIGS, 'test'))
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
