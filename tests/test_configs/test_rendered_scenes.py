"""From captions to a recognizer with the shipped configs: pre-trained, transferred, asked about a video of a file."""

import json
import runpy
import sys
from pathlib import Path
from unittest.mock import patch

import av
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_configs import ROOT, load
from typer.testing import CliRunner

from textxfer_mm.cli.main import app
from textxfer_mm.datasets.rendered_scenes import Scene, render_clip
from textxfer_mm.datasets.scene_datasets import scene_class_names
from textxfer_mm.text.class_names import load_class_names

PRETRAINING = 'clip_rn-w16_2xb64-8e_rendered-scenes'
DOWNSTREAM = 'text4vis_clip-rn-w16_tap_1xb8-u8-1e_rendered-scenes'
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def train(name, *changes):
    """Run ``tools/train.py`` on a shipped config, without worker processes."""
    alone = [f'{loader}.{option}' for loader in LOADERS for option in ('num_workers=0', 'persistent_workers=False')]
    words = ['tools/train.py', str(ROOT / 'rendered_scenes' / f'{name}.py'), '--cfg-options', *alone, *changes]
    with patch.object(sys, 'argv', words), pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT.parent / words[0]), run_name='__main__')
    assert stop.value.code == 0


def validations(work_dir):
    """Top-1 accuracies by step, those before the first step at 0."""
    (log,) = work_dir.glob('*/vis_data/scalars.json')
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    return {entry['step']: entry['acc/top1'] for entry in entries if 'acc/top1' in entry}


def write_clip(path):
    """A video file of a scene that the tower has never seen."""
    scene = Scene('kicking', 'chair', 'red', 'in a park', 'man')
    frames = render_clip(scene, np.random.default_rng(1), frames=12)
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('mpeg4', rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 64, 'yuv420p'
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format='rgb24')))
        container.mux(stream.encode())


def test_from_captions_to_a_prediction(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    few = [f'{loader}.dataset.per_class=1' for loader in LOADERS[1:]]
    some = [f'{loader}.dataset.indices=6' for loader in LOADERS[1:]]
    train(
        PRETRAINING,
        *few,
        *some,
        'train_dataloader.dataset.length=12',
        'train_dataloader.batch_size=6',
        'train_cfg.max_epochs=2',
    )
    work_dir = Path('work_dirs', PRETRAINING)
    assert sorted(validations(work_dir)) == [0, 1, 2]
    folder = work_dir / 'open_clip'
    tower = load_file(folder / 'open_clip_model.safetensors')
    preprocess = json.loads((folder / 'open_clip_config.json').read_text())['preprocess_cfg']
    pixels = load(f'rendered_scenes/{DOWNSTREAM}.py').model.data_preprocessor
    for key in ('mean', 'std'):  # the recognizer wants its frames as the tower had them
        assert pixels[key] == pytest.approx([255 * value for value in preprocess[key]])
    train(
        DOWNSTREAM,
        *few,
        *some,
        'train_dataloader.dataset.indices=16',
        'train_dataloader.dataset.per_class=1',
        'optim_wrapper.optimizer.lr=0.0',
    )
    trained = torch.load(Path('work_dirs', DOWNSTREAM, 'epoch_1.pth'), weights_only=True)['state_dict']
    conv = trained['backbone.visual.conv1.weight']
    torch.testing.assert_close(conv, tower['visual.conv1.weight'].float())  # it began from what was pre-trained
    assert trained['cls_head.class_rows.weight'].shape == (60, 128)
    # Both trainings left their scenes in one folder, and the validation scenes there once.
    assert len(list(Path('work_dirs/rendered_scenes').glob('*.npy'))) == 4

    write_clip('clip.mp4')
    words = ['predict', 'clip.mp4', '--labels', 'kicking a chair,holding a fish', '--model', str(folder)]
    result = CliRunner().invoke(app, [*words, '--json', 'scores.json'])
    assert result.exit_code == 0, result.output
    (scored,) = json.loads(Path('scores.json').read_text())
    assert set(scored['scores']) == {'kicking a chair', 'holding a fish'}
    assert sum(scored['scores'].values()) == pytest.approx(1, abs=1e-3)


def test_the_configs_agree_on_classes_and_the_tower():
    pretraining, downstream = (load(f'rendered_scenes/{name}.py') for name in (PRETRAINING, DOWNSTREAM))
    assert load_class_names(pretraining.model.cls_head.classifier.class_names) == tuple(scene_class_names('seen'))
    assert downstream.model.cls_head.classifier.class_names == pretraining.model.cls_head.classifier.class_names
    assert downstream.model.backbone.arch == pretraining.model.backbone.arch == pretraining.clip
    assert downstream.pretrained == f'work_dirs/{PRETRAINING}/open_clip/open_clip_model.safetensors'
    assert pretraining.train_dataloader.dataset.get('look', 'plain') == 'plain'  # the style of the task is new
    for name in LOADERS:
        assert downstream[name].dataset.look == 'shifted'
    splits = [downstream[name].dataset.get('split', 'train') for name in LOADERS[:2]]
    assert len({*splits, pretraining.val_dataloader.dataset.split}) == 3  # no clip is used twice
