"""Whole runs of the heads whose text side changes in training: resumed exactly, and tested without a text encoder."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.runner import Runner
from prompt_ranks import CLASSIFIER, NAMES, TEMPLATES
from tiny_runs import run_config, write_dataset

from textxfer_mm.models.heads import LearnablePromptHead
from textxfer_mm.text.clip_encoder import CLIPTextEncoder

HEADS = dict(
    prompt=dict(type='LearnablePromptHead', class_specific=True),
    templates=dict(type='TextEmbeddingHead', train_templates=TEMPLATES),
)


def run(ann_file, work_dir, head, *, epochs, resume=False, ema=False):
    """Train, and return the last checkpoint's file."""
    cfg = run_config(ann_file, work_dir, epochs=epochs)
    cfg['model']['cls_head'] = dict(in_channels=256, projection='linear', classifier=CLASSIFIER, **head)
    cfg['custom_hooks'] += [dict(type='EMAHook', momentum=0.5)] if ema else []
    cfg['train_cfg']['val_interval'] = 1
    cfg.update(resume=resume, experiment_name=work_dir.name + str(epochs))
    Runner.from_cfg(Config(cfg)).train()
    return work_dir / f'epoch_{epochs}.pth'


@pytest.fixture
def ann_file(tmp_path):
    return write_dataset(tmp_path / 'videos')


@pytest.mark.parametrize('head', HEADS)
def test_resumed_exactly(ann_file, tmp_path, head):
    straight = torch.load(run(ann_file, tmp_path / 'straight', HEADS[head], epochs=2), weights_only=True)
    run(ann_file, tmp_path / 'stopped', HEADS[head], epochs=1)
    resumed = torch.load(run(ann_file, tmp_path / 'stopped', HEADS[head], epochs=2, resume=True), weights_only=True)
    first = torch.load(tmp_path / 'stopped' / 'epoch_1.pth', weights_only=True)['state_dict']
    changed = 0
    for key, value in straight['state_dict'].items():
        torch.testing.assert_close(resumed['state_dict'][key], value, rtol=0, atol=0, msg=key)
        changed += not torch.equal(first[key], value)
    assert changed > 20
    assert not any('train_rows' in key for key in straight['state_dict'])


@pytest.mark.parametrize('ema', [False, True])
def test_a_learned_prompt_is_tested_without_its_tower(ann_file, tmp_path, monkeypatch, ema):
    path = run(ann_file, tmp_path / 'run', HEADS['prompt'], epochs=1, ema=ema)
    state = torch.load(path, weights_only=True)['state_dict']
    head = LearnablePromptHead(32, CLASSIFIER, class_specific=True)
    with torch.no_grad():
        rows = head.class_rows.source.prompts(tuple(NAMES)).encode(state['cls_head.class_rows.context'])
    torch.testing.assert_close(state['cls_head.class_rows.weight'], F.normalize(rows, dim=-1), rtol=1e-4, atol=1e-5)

    monkeypatch.setattr(CLIPTextEncoder, 'tower', lambda self: pytest.fail('the text tower was asked for'))
    cfg = run_config(ann_file, tmp_path / 'test')
    cfg['model']['cls_head'] = dict(in_channels=256, projection='linear', classifier=CLASSIFIER, **HEADS['prompt'])
    cfg.update(load_from=str(path), experiment_name=f'test{ema}')
    metrics = Runner.from_cfg(Config(cfg)).test()
    assert set(metrics) == {'acc/top1', 'acc/top5', 'acc/mean1'}
