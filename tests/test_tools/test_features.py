"""``textxfer features``: from a config to features, a config that trains on them, and a checkpoint for videos."""

import pytest
import torch
from lda_runs import lda_config
from scripts import load_script
from typer.testing import CliRunner

from textxfer_mm.cli.main import app

train, add_backbone = load_script('tools/train.py'), load_script('tools/model_converters/add_backbone.py')


def run(*arguments):
    return CliRunner().invoke(app, ['features', *map(str, arguments)], env={'COLUMNS': '200'})


@pytest.fixture
def config(tmp_path):
    cfg = lda_config(tmp_path, good=5, corrupt=['empty'])
    classifier = dict(type='RandomClassifier', class_names=['dark', 'bright'], embed_dims=32)
    cfg.model.cls_head = dict(type='TextEmbeddingHead', in_channels=32, classifier=classifier)
    cfg.dump(tmp_path / 'own.py')
    return tmp_path / 'own.py'


def test_features_training_and_the_whole_model(config, tmp_path, in_process, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(config, 'out', '--copies', 2, '--shard-size', 4)
    assert result.exit_code == 0, result.output
    assert 'out/train: features of 5 of 6 videos, 2 copies of each.' in result.output
    assert 'out/val: features of 5 of 6 videos.' in result.output
    assert 'empty0.mp4: empty file' in result.output
    assert 'Train on them: python tools/train.py out/config.py' in result.output
    files = sorted(path.relative_to(tmp_path / 'out').as_posix() for path in (tmp_path / 'out').rglob('*.*'))
    shards = [f'{shard:05d}-of-00002.safetensors' for shard in (0, 1)]
    names = [*shards, 'record.json']
    assert files == ['config.py', *(f'{split}/{name}' for split in ('train', 'val') for name in names)]
    assert in_process(train, 'out/config.py', '--work-dir', 'run') == 0
    assert in_process(add_backbone, config, 'run/epoch_1.pth', 'whole.pth') == 0
    assert 'Wrote whole.pth' in capsys.readouterr().out
    state = torch.load('whole.pth', weights_only=True)['state_dict']
    assert {name.split('.')[0] for name in state} == {'backbone', 'neck', 'cls_head'}
    monkeypatch.setenv('TORCHELASTIC_RUN_ID', 'x')
    monkeypatch.setenv('RANK', '0')
    monkeypatch.setenv('WORLD_SIZE', '2')
    result = run(config, 'shared', '--split', 'val', '--shard-size', 4)
    assert 'shared/val: features of 1 of 2 files, the rest is not there (yet).' in result.output
    assert 'Train on them' not in result.output


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (('--split', 'training'), "--split is train, val, test, got 'training'."),
        (('--checkpoint', 'gone.pth'), 'checkpoint gone.pth does not exist'),
        (('--device', 'gpu'), '--device gpu is no device'),
        (('--launcher', 'mpi'), '--launcher mpi: this process was not started by it'),
        (('--cfg-options', 'model'), "--cfg-options takes key=value, got 'model'."),
        (('--cfg-options', 'train_dataloader.dataset.ann_file=gone.txt'), 'annotation file gone.txt'),
    ],
)
def test_mistakes_are_one_line(config, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    result = run(config, 'out', *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count('\n') == 1
    assert not (tmp_path / 'out' / 'train').exists()
