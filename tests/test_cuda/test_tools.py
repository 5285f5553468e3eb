"""The tools from end to end on the GPU: training, mixed precision, resuming, testing, features, one NCCL process."""

import os
import pickle
import random
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch
from evaluated import SEEN
from lda_runs import lda_config
from on_gpu import DEVICE, ON_GPU  # skips this file without a GPU
from scripts import ROOT, load_script
from tiny import TINY_VIT

from textxfer_mm.classifiers.feature_file import LabelledFeatures
from textxfer_mm.engine.checkpoint import load_checkpoint_file
from textxfer_mm.engine.random_state import keeping_random_state, random_state, restore_random_state
from textxfer_mm.interrupts import TERMINATED

train, test = load_script('tools/train.py'), load_script('tools/test.py')
extract = load_script('tools/extract_features.py')
NAMES = list(SEEN[:2])


@pytest.fixture
def config(tmp_path):
    """Write the config file of a recognizer of two classes with dropout; return its path."""

    def write(head='TextEmbeddingHead', **changes):
        cfg = lda_config(tmp_path)
        encoder = dict(type='CLIPTextEncoder', arch=TINY_VIT, pretrained=str(tmp_path / 'clip.pt'))
        classifier = dict(type='TextClassifier', class_names=NAMES, encoder=encoder)
        cfg.model.cls_head = dict(type=head, in_channels=32, classifier=classifier, dropout_ratio=0.5)
        cfg.train_dataloader.update(num_workers=2, batch_size=8 if 'Matching' in head else 2)
        cfg.merge_from_dict(changes)
        cfg.dump(tmp_path / 'tiny.py')
        return tmp_path / 'tiny.py'

    return write


def weights(path):
    return load_checkpoint_file(path)['state_dict']


def test_train_resume_and_test(tmp_path, config, in_process, capfd):
    path, run = config(), tmp_path / 'run'
    assert in_process(train, path, '--cfg-options', 'train_cfg.val_interval=1') == 0
    assert in_process(train, path, '--resume', '--cfg-options', 'train_cfg.max_epochs=2') == 0
    assert {value.device.type for value in weights(run / 'epoch_2.pth').values()} == {'cpu'}
    capfd.readouterr()
    assert in_process(test, path, run / 'epoch_2.pth', '--dump', tmp_path / 'scores.pkl') == 0
    assert 'acc/top1' in ''.join(capfd.readouterr())
    scores = pickle.loads((tmp_path / 'scores.pkl').read_bytes())
    assert {sample['pred_score'].device.type for sample in scores} == {'cpu'}
    assert [tuple(sample['pred_score'].shape) for sample in scores] == [(2,)] * 8
    assert in_process(test, path, run / 'epoch_2.pth', '--class-names', 'ucf101') == 0


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
@pytest.mark.parametrize('head', ['TextEmbeddingHead', 'LearnablePromptHead', 'VideoTextMatchingHead'])
def test_mixed_precision_is_resumed(tmp_path, config, in_process, head, dtype):
    given = {} if dtype == 'bfloat16' else {'optim_wrapper.type': 'AmpOptimWrapper', 'optim_wrapper.dtype': dtype}
    path = config(head, **given)
    assert in_process(train, path, '--amp') == 0
    assert in_process(train, path, '--amp', '--resume', '--cfg-options', 'train_cfg.max_epochs=2') == 0
    assert any('resumed epoch: 1' in log.read_text() for log in (tmp_path / 'run').rglob('*.log'))
    saved = load_checkpoint_file(tmp_path / 'run' / 'epoch_2.pth')
    assert all(value.isfinite().all() for value in saved['state_dict'].values() if value.is_floating_point())
    if ON_GPU:
        assert saved['optimizer']['loss_scaler']['scale'] > 0
    assert in_process(test, path, tmp_path / 'run' / 'epoch_2.pth') == 0


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path, config, in_process, monkeypatch):
    """Dropout on the GPU draws what it would have drawn: the random state of the GPU is in the checkpoint."""
    path = config(**{'randomness.deterministic': True})
    words = ('--no-validate', '--checkpoint-on-sigterm', '--cfg-options', 'train_cfg.max_epochs=2')
    assert in_process(train, path, *words, f'work_dir={tmp_path}/whole') == 0

    asked = iter([False, True])
    with monkeypatch.context() as patch:
        patch.setattr('textxfer_mm.engine.hooks.sigterm.postpone', lambda seconds: lambda: next(asked))
        assert in_process(train, path, *words, f'work_dir={tmp_path}/cut') == TERMINATED
    assert (tmp_path / 'cut' / 'stopped.pth').is_file()
    assert in_process(train, path, '--resume', *words, f'work_dir={tmp_path}/cut') == 0
    want, got = (weights(tmp_path / name / 'epoch_2.pth') for name in ('whole', 'cut'))
    for key, value in want.items():
        torch.testing.assert_close(got[key], value, rtol=1e-4, atol=1e-6, msg=lambda m: f'{key}: {m}')  # noqa: B023


def test_random_states_are_taken_up_from_a_file(tmp_path):
    def draw():
        return torch.rand(5, device=DEVICE).tolist(), torch.rand(3).tolist(), np.random.rand(), random.random()

    torch.save(random_state(), tmp_path / 'state.pt')
    want = draw()
    for place in ('cpu', DEVICE):  # MMEngine loads a checkpoint that it resumes from to the GPU
        restore_random_state(torch.load(tmp_path / 'state.pt', map_location=place, weights_only=True))
        with keeping_random_state():
            draw()
        assert draw() == want


def test_features_and_the_classifier_made_of_them(tmp_path, in_process):
    path = tmp_path / 'lda.py'
    lda_config(tmp_path).dump(path)
    file = tmp_path / 'lda.safetensors'
    assert in_process(extract, path, file, '--per-class', 3) == 0
    made = LabelledFeatures.load(file)
    assert (made.features.device.type, len(made.labels)) == ('cpu', 6)
    assert in_process(train, path) == 0
    rows = weights(tmp_path / 'run' / 'epoch_1.pth')['cls_head.class_rows.weight']
    assert rows.norm(dim=1).tolist() == pytest.approx([1, 1])


def shell(script, *args):
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = str(probe.getsockname()[1])
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ['PATH']])
    command = ['bash', str(ROOT / 'tools' / script), *map(str, args)]
    env = {**os.environ, 'PATH': path, 'PORT': port, 'OMP_NUM_THREADS': '2'}
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=300)


@pytest.mark.parametrize('head', ['TextEmbeddingHead', 'VideoTextMatchingHead'])
def test_one_process_of_nccl_trains_and_tests(tmp_path, config, head):
    path = config(head)
    done = shell('dist_train.sh', path, 1, '--amp', '--cfg-options', 'train_cfg.val_interval=1')
    assert done.returncode == 0, done.stderr
    done = shell('dist_test.sh', path, tmp_path / 'run' / 'epoch_1.pth', 1)
    assert done.returncode == 0, done.stderr
    assert 'acc/top1' in done.stdout
    assert 'Traceback' not in done.stderr
