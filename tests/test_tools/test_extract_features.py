"""``tools/extract_features.py``: the two commands of an LDA run, in one process and in two, and its mistakes."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lda_runs import lda_config
from scripts import load_script

from textxfer_mm.classifiers.feature_file import LabelledFeatures

TOOLS = Path(__file__).parents[2] / 'tools'


extract, train = load_script('tools/extract_features.py'), load_script('tools/train.py')


@pytest.fixture
def config(tmp_path):
    """Write the config file; return its path."""

    def write(**options):
        lda_config(tmp_path, **options).dump(tmp_path / 'lda.py')
        return tmp_path / 'lda.py'

    return write


def two_processes(*argv):
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node=2', f'--master_port={port}']
    path = os.pathsep.join([str(TOOLS.parent), os.environ.get('PYTHONPATH', '')])
    env = {**os.environ, 'PYTHONPATH': path, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}
    tool = [str(TOOLS / 'extract_features.py'), *map(str, argv), '--launcher', 'pytorch']
    return subprocess.run([*command, *tool], capture_output=True, text=True, env=env, timeout=300)


def test_two_commands(tmp_path, config, in_process, capsys):
    path = config()
    assert in_process(train, path, '--no-validate') == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error: ')]
    file = tmp_path / 'lda.safetensors'
    assert f'Features file not found: {file}. Make it with: python tools/extract_features.py CONFIG {file}' in line
    assert in_process(extract, path, file, '--per-class', 3, '--seed', 1) == 0
    assert 'features of 6 videos of 2 classes, D = 32, by CLIPBackbone/clip.pt' in capsys.readouterr().out
    made = LabelledFeatures.load(file)
    assert {key: made.metadata[key] for key in ('config', 'per_class', 'seed')} == dict(
        config='lda.py', per_class=3, seed=1
    )
    assert in_process(train, path, '--no-validate') == 0
    state = torch.load(tmp_path / 'run' / 'epoch_1.pth', weights_only=True)['state_dict']
    first, second = state['cls_head.class_rows.weight']
    torch.testing.assert_close(first, -second)
    assert first.norm() == pytest.approx(1)


def test_two_processes_give_what_one_gives(tmp_path, config, in_process):
    path = config(good=7, corrupt=['empty'])
    assert in_process(extract, path, tmp_path / 'one.safetensors', '--per-class', 'all') == 0
    done = two_processes(path, tmp_path / 'two.safetensors', '--per-class', 'all')
    assert done.returncode == 0, done.stderr
    one, two = (LabelledFeatures.load(tmp_path / f'{name}.safetensors') for name in ('one', 'two'))
    assert len(one.labels) == 7  # an odd number: nothing pads it
    assert one.labels.equal(two.labels)
    torch.testing.assert_close(two.features, one.features)
    assert one.metadata == two.metadata
    assert '1 of 8 videos could not be decoded' in done.stdout
    assert done.stdout.count('empty0.mp4: empty file') == 1
    assert '1 of 8 videos could not be decoded' in (tmp_path / 'run' / 'extract_features.log').read_text()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['f', '--per-class', '9'], '9 videos a class were asked for, but label 0 has 4'),
        (['.'], 'OUT . is a folder'),
        (['f', '--checkpoint', 'gone.pth'], 'checkpoint gone.pth does not exist'),
        (['f', '--seed', '-1'], '`seed` is an integer that is not negative'),
        (['f', '--cfg-options', 'train_dataloader.dataset.ann_file=gone.txt'], 'annotation file gone.txt'),
        (['f', '--cfg-options', 'model.backbone.image_sise=3'], 'Did you mean: image_size'),
        (['f', '--cfg-options', 'val_dataloader.dataset.pipeline.0.type=DecordInt'], 'Did you mean: DecordInit'),
        (['f', '--cfg-options', 'model=None'], 'lda.py is no whole config: it has no model'),
    ],
)
def test_mistakes_are_one_line(config, in_process, capsys, arguments, message):
    assert in_process(extract, config(), *arguments) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error: ')]
    assert message in line


def test_a_number_of_videos_that_is_none(config, in_process, capsys):
    with pytest.raises(SystemExit):
        in_process(extract, config(), 'f', '--per-class', 'many')
    assert "a number of videos or 'all', got 'many'" in capsys.readouterr().err
