"""Views of a test by one option: the frames are those of the pipeline's own steps, and bad values are one line."""

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from tiny_runs import run_config, write_video

import textxfer_mm.register  # noqa: F401
from textxfer_mm.engine.config_files import load_config
from textxfer_mm.engine.multi_view import set_views
from textxfer_mm.errors import UserError

CONFIG = 'quickstart/finetune_efficientnet-lite0_minilm.py'


@pytest.fixture
def cfg():
    return load_config(CONFIG)


def inputs(cfg, video):
    """The views of a video, as the model is given them."""
    init_default_scope('mmaction')
    pipeline = Compose(cfg.test_dataloader.dataset.pipeline)
    return pipeline(dict(filename=str(video), label=0, start_index=0, modality='RGB'))['inputs']


def test_clips_and_crops(cfg, tmp_path):
    write_video(tmp_path / 'a.mp4', frames=64)
    one = inputs(cfg, tmp_path / 'a.mp4')
    batch = cfg.test_dataloader.batch_size
    set_views(cfg, '4x3')
    views = inputs(cfg, tmp_path / 'a.mp4')
    assert views.shape == (12, *one.shape[1:])
    assert cfg.test_dataloader.batch_size == max(1, batch // 12)
    uncropped = load_config(CONFIG)
    uncropped.test_dataloader.dataset.pipeline[1].num_clips = 4
    del uncropped.test_dataloader.dataset.pipeline[4]
    whole = inputs(uncropped, tmp_path / 'a.mp4')
    assert whole.shape[-2:] == (146, 292)
    crops = views.reshape(3, 4, *one.shape[1:])  # one after the other, each with all clips
    for crop, left in zip(crops, (0, 164, 82), strict=True):  # left, right, centre
        np.testing.assert_array_equal(crop, whole[..., 8:136, left : left + 128])
    set_views(cfg, '1x1')
    np.testing.assert_array_equal(inputs(cfg, tmp_path / 'a.mp4'), one)


def test_three_crops_of_a_pipeline_that_has_them_stay():
    cfg = load_config('text4vis/text4vis_vit-b-16_tap_8xb32-u8-30e_kinetics400-rgb.py')
    before = cfg.test_dataloader.dataset.pipeline.copy()
    set_views(cfg, '10x3')
    after = cfg.test_dataloader.dataset.pipeline
    assert [step.get('num_clips') for step in after if 'clip_len' in step] == [10]
    assert [step for step in after if 'clip_len' not in step] == [step for step in before if 'clip_len' not in step]


def test_views_of_a_stock_head_are_averaged(tmp_path):
    cfg = Config(run_config(tmp_path / 'list.txt', tmp_path / 'run'))
    cfg.test_dataloader.dataset.pipeline.insert(4, dict(type='CenterCrop', crop_size=32))
    cfg.model.cls_head.pop('average_clips')
    set_views(cfg, '2x3')
    assert cfg.model.cls_head.average_clips == 'prob'
    with pytest.raises(UserError, match=r'--views: this model sees 2 single frames .* give 2x1 or 2x3\.'):
        set_views(cfg, '4x1')


@pytest.mark.parametrize('views', ['4', '4x2', '0x3', '4x0', 'x3', '4*3', '-1x1', '4x3x2', '1000x1', '', 'four'])
def test_what_is_no_number_of_views(cfg, views):
    with pytest.raises(UserError, match=r'--views .*: give clips x crops, 1 or 3 of the latter, such as 4x3\.$'):
        set_views(cfg, views)


def test_pipelines_that_cannot_make_them(cfg):
    steps = cfg.test_dataloader.dataset.pipeline
    crop = next(number for number, step in enumerate(steps) if step['type'] == 'CenterCrop')
    steps[crop].crop_size = (120, 80)
    with pytest.raises(UserError, match=r'its crops are squares, and crop_size=\(120, 80\) of the test pipeline'):
        set_views(cfg, '4x3')
    del steps[crop]
    with pytest.raises(UserError, match=r'crops in 0 steps .* give 4x1, or add CenterCrop to it\.'):
        set_views(cfg, '4x3')
    del steps[1]
    with pytest.raises(UserError, match=r'samples frames \(clip_len\) in 0 steps, not in one\.'):
        set_views(cfg, '4x1')
