"""The one loop that scores videos, against one video at a time."""

from pathlib import Path

import numpy as np
import pytest
import torch
from lda_runs import PIPELINE, lda_config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from tiny import FixedSource

from textxfer_mm.apis import score_videos
from textxfer_mm.apis.scoring import score_by
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
    size = cfg.val_dataloader.batch_size
    assert calls == [(min(done, 7), 7) for done in range(size, 7 + size, size)]


def test_classes_without_names_go_by_their_index(cfg):
    cfg.model.cls_head = dict(type='I3DHead', num_classes=3, in_channels=32, average_clips='prob')
    model = MODELS.build(cfg.model)
    model.init_weights()
    found = score_videos(model, cfg.val_dataloader)
    assert found.class_names == ('0', '1', '2')
    np.testing.assert_allclose(found.values.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize('serialize', [True, False])
def test_a_list_without_videos(cfg, serialize):
    Path(cfg.val_dataloader.dataset.ann_file).write_text('')
    cfg.val_dataloader.dataset.serialize_data = serialize
    with pytest.raises(UserError, match=r'The list of videos \(ann_file of the dataset\) is empty'):
        score_videos(MODELS.build(cfg.model), cfg.val_dataloader)


def test_videos_that_cannot_be_decoded_are_left_out_and_named(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr('textxfer_mm.apis.encoding.print_log', lambda line, **_: said.append(line))
    init_default_scope('mmaction')
    cfg = lda_config(tmp_path, neck=False, good=4, corrupt=['empty'])
    cfg.model.cls_head = dict(type='I3DHead', num_classes=2, in_channels=32, average_clips='prob')
    models = [MODELS.build(cfg.model) for _ in range(2)]
    for model in models:
        model.init_weights()
    calls = []
    found = score_by(models, cfg.val_dataloader, progress=lambda *call: calls.append(call))
    assert [part.labels.tolist() for part in found] == [[0, 1, 0, 1]] * 2
    assert calls[-1] == (5, 5)
    assert len(said) == 1
    assert '1 of 5 videos could not be decoded and are left out:' in said[0]
    assert 'empty0.mp4: empty file' in said[0]
    cfg.val_dataloader.dataset.ann_file = str(tmp_path / 'good.txt')
    lines = (tmp_path / 'videos' / 'list.txt').read_text().splitlines()
    (tmp_path / 'good.txt').write_text('\n'.join(line for line in lines if 'good' in line))
    for part, model in zip(found, models, strict=True):
        np.testing.assert_allclose(part.values, score_videos(model, cfg.val_dataloader).values, atol=1e-6)


def test_several_labels_a_video(cfg):
    cfg.model.cls_head = dict(type='I3DHead', num_classes=2, in_channels=32, average_clips='prob')
    cfg.val_dataloader.dataset.update(multi_class=True, num_classes=2)
    model = MODELS.build(cfg.model)
    model.init_weights()
    with pytest.raises(UserError, match=r'one label each, and .*good0\.mp4 has several: test a multi-label dataset'):
        score_videos(model, cfg.val_dataloader)
