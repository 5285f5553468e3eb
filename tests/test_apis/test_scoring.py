"""The one loop that scores videos, against one video at a time."""

from pathlib import Path

import numpy as np
import pytest
import torch
from lda_runs import PIPELINE, lda_config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from tiny import FixedSource
from torch.testing._internal.distributed.fake_pg import FakeStore

from textxfer_mm.apis import score_videos
from textxfer_mm.errors import UserError
from textxfer_mm.registry import MODELS


@pytest.fixture
def cfg(tmp_path):
    init_default_scope('mmaction')
    return lda_config(tmp_path, neck=False, good=7)


def scores_one_by_one(model, folder, number):
    """Scores of the videos of the list, each in a batch of its own."""
    pipeline, rows = Compose(PIPELINE), []
    for index in range(number):
        data = pipeline(dict(filename=str(folder / f'good{index}.mp4'), label=0, start_index=0, modality='RGB'))
        with torch.no_grad():
            rows.append(model.eval().test_step(pseudo_collate([data]))[0].pred_score.numpy())
    return np.stack(rows)


def test_against_one_video_at_a_time(cfg, tmp_path):
    model = MODELS.build(cfg.model).train()
    model.backbone.init_weights()
    model.cls_head.class_rows.replace(FixedSource(('dark', 'bright'), 32).build())
    calls = []
    found = score_videos(model, cfg.val_dataloader, progress=lambda *call: calls.append(call))
    assert not model.training
    assert found.labels.tolist() == [0, 1, 0, 1, 0, 1, 0]
    assert found.class_names == ('dark', 'bright')
    np.testing.assert_allclose(found.values, scores_one_by_one(model, tmp_path / 'videos', 7), atol=1e-5)
    batches = -(-7 // cfg.val_dataloader.batch_size)
    assert calls == [(done, batches) for done in range(1, batches + 1)]


def test_classes_without_names_go_by_their_index(cfg):
    cfg.model.cls_head = dict(type='I3DHead', num_classes=3, in_channels=32, average_clips='prob')
    model = MODELS.build(cfg.model)
    model.init_weights()
    found = score_videos(model, cfg.val_dataloader)
    assert found.class_names == ('0', '1', '2')
    np.testing.assert_allclose(found.values.sum(1), 1, atol=1e-5)


def test_one_rank_of_several_is_refused(cfg):
    torch.distributed.init_process_group('fake', rank=0, world_size=2, store=FakeStore())
    try:
        with pytest.raises(UserError, match=r'runs in one process, and this is one of 2.*tools/test\.py'):
            score_videos(MODELS.build(cfg.model), cfg.val_dataloader)
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize('serialize', [True, False])
def test_a_list_without_videos(cfg, serialize):
    Path(cfg.val_dataloader.dataset.ann_file).write_text('')
    cfg.val_dataloader.dataset.serialize_data = serialize
    with pytest.raises(UserError, match=r'makes no batch of its 0 videos: .*ann_file'):
        score_videos(MODELS.build(cfg.model), cfg.val_dataloader)


def test_a_list_of_which_no_batch_is_left(cfg):
    cfg.val_dataloader.update(batch_size=8, drop_last=True)
    with pytest.raises(UserError, match=r'makes no batch of its 7 videos: .*drop_last'):
        score_videos(MODELS.build(cfg.model), cfg.val_dataloader)


def test_several_labels_a_video(cfg):
    cfg.model.cls_head = dict(type='I3DHead', num_classes=2, in_channels=32, average_clips='prob')
    cfg.val_dataloader.dataset.update(multi_class=True, num_classes=2)
    model = MODELS.build(cfg.model)
    model.init_weights()
    with pytest.raises(UserError, match=r'one label each, and the label of one here is of shape \(2,\)'):
        score_videos(model, cfg.val_dataloader)
