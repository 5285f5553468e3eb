"""ActivityNet and Charades: what is trained with one label or several, and tested by mAP over all videos at once."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from sklearn.metrics import average_precision_score
from tiny_configs import ROOT, leaf, load, tiny_run

from textxfer_mm.engine.metric_checks import check_metrics
from textxfer_mm.errors import UserError

ACTIVITYNET = 'text4vis/text4vis_vit-l-14_ttrans_8xb16-u16-30e_activitynet-rgb.py'
CHARADES = """
_base_ = [
    '{root}/_base_/models/text4vis_vit-b-16.py',
    '{root}/_base_/datasets/charades_video_16frames.py',
    '{root}/_base_/schedules/text4vis_30e.py',
    '{root}/_base_/default_runtime.py',
]
model = dict(cls_head=dict(multi_class=True, classifier=dict(class_names='data/charades/class_names.txt')))
"""


@pytest.fixture
def charades(tmp_path):
    file = tmp_path / 'charades.py'
    file.write_text(CHARADES.format(root=ROOT))
    return Config.fromfile(file)


def tiny(cfg, folder):
    """The config on five videos of which the second and the fourth have two labels."""
    cfg = tiny_run(copy.deepcopy(cfg), folder, folder / 'work')
    cfg.default_hooks.checkpoint.update(save_best=None)
    video = leaf(cfg.test_dataloader.dataset)
    lines = [f'good{index % 2}.mp4 {label}' for index, label in enumerate(['3', '3 7', '7', '0 3', '0'])]
    Path(video.ann_file).write_text('\n'.join(lines) + '\n')
    return cfg


def naive_map(runner, folder):
    """Average precision of each class that has videos, over all of them, and their mean."""
    model = runner.model.eval()
    rows = []
    with torch.no_grad():
        for batch in runner.test_dataloader:
            rows += [(s.pred_score.numpy(), s.gt_label.numpy()) for s in model.test_step(batch)]
    scores, truth = (np.stack(part) for part in zip(*rows, strict=True))
    assert truth.sum(1).tolist() == [1, 2, 1, 2, 1]
    found = [average_precision_score(truth[:, k], scores[:, k]) for k in (0, 3, 7)]
    return np.mean(found), scores


def test_activitynet_is_trained_with_one_label_and_tested_by_map(tmp_path, monkeypatch):
    monkeypatch.setenv('TEXTXFER_CACHE', str(tmp_path / 'cache'))
    assert not load(ACTIVITYNET).train_dataloader.dataset.get('multi_class')
    runner = Runner.from_cfg(tiny(load(ACTIVITYNET), tmp_path))
    runner.train()
    found = runner.test()['acc/mean_average_precision']
    want, scores = naive_map(runner, tmp_path)
    assert found == pytest.approx(want)
    assert scores.shape == (5, 200)
    np.testing.assert_allclose(scores.sum(1), 1, atol=1e-5)  # one softmax


def test_charades_is_trained_and_tested_with_several_labels(charades, tmp_path, monkeypatch):
    monkeypatch.setenv('TEXTXFER_CACHE', str(tmp_path / 'cache'))
    runner = Runner.from_cfg(tiny(charades, tmp_path))
    runner.train()
    assert runner.test()['acc/mean_average_precision'] == pytest.approx(naive_map(runner, tmp_path)[0])
    assert runner.model.cls_head.multi_class


@pytest.mark.parametrize('phases', [('train', 'val'), ('test',)])
def test_the_checks_before_a_run_know_them(charades, phases, tmp_path):
    for cfg in (tiny(load(ACTIVITYNET), tmp_path), tiny(charades, tmp_path)):
        cfg.default_hooks.checkpoint.save_best = 'auto'
        check_metrics(cfg, phases)
    cfg.model.cls_head.multi_class = False
    if 'train' in phases:
        with pytest.raises(UserError, match=r'The dataset of the config has multi_class=True'):
            check_metrics(cfg, phases)
