"""The one loop that scores videos, against one video at a time."""

import numpy as np
import pytest
import torch
from lda_runs import PIPELINE, lda_config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from tiny import FixedSource

from textxfer_mm.apis import score_videos
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
