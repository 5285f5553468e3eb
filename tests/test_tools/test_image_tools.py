"""The tools and ``textxfer evaluate`` on a config of images: two processes, one process and the evaluator agree."""

import copy
import json
import pickle

import numpy as np
import pytest
import torch
from scripts import load_script
from test_tools.test_dist import shell
from tiny_configs import load, tiny_image_run
from typer.testing import CliRunner

from textxfer_mm.cli.main import app

test = load_script('tools/test.py')


def test_train_test_and_evaluate(tmp_path, in_process, monkeypatch):
    monkeypatch.setenv('TEXTXFER_CACHE', str(tmp_path / 'cache'))
    cfg = tiny_image_run(
        copy.deepcopy(load('image/text4vis_vit-b-16_8xb16-10e_in1k.py')), tmp_path / 'images', tmp_path / 'run'
    )
    config, checkpoint = tmp_path / 'tiny.py', tmp_path / 'run' / 'epoch_1.pth'
    cfg.dump(config)
    done = shell('dist_train.sh', config, 2, '--amp')
    assert done.returncode == 0, done.stderr
    assert torch.load(checkpoint, weights_only=True)['meta']['iter'] == 3  # 10 images / (2 ranks x 2 a batch)

    done = shell('dist_test.sh', config, checkpoint, 2, '--dump', tmp_path / '2.pkl')
    assert done.returncode == 0, done.stderr
    assert in_process(test, config, checkpoint, '--dump', tmp_path / '1.pkl') == 0
    samples = {ranks: pickle.loads((tmp_path / f'{ranks}.pkl').read_bytes()) for ranks in (1, 2)}
    scores = {ranks: np.stack([s['pred_score'].numpy() for s in found]) for ranks, found in samples.items()}
    assert scores[1].shape == (10, 1000)
    np.testing.assert_allclose(scores[1], scores[2], atol=1e-6)

    result = CliRunner().invoke(app, ['evaluate', str(config), str(checkpoint), '--json', str(tmp_path / 'out.json')])
    assert result.exit_code == 0, result.output
    (row,) = [r for r in json.loads((tmp_path / 'out.json').read_text())['results'] if r['metric'] == 'top1']
    labels = np.array([int(s['gt_label']) for s in samples[1]])
    assert row['trained']['value'] == pytest.approx((scores[1].argmax(1) == labels).mean())
