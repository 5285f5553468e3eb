"""Checkpoint files that are none end in one line that names them."""

import os
import pickle
import urllib.error

import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import CheckpointLoader, load_checkpoint
from torch import nn

from textxfer_mm.engine.checkpoint import load_checkpoint_file
from textxfer_mm.errors import UserError
from textxfer_mm.inputs import require_checkpoint


class Reduces:
    """Pickles as a call."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def test_a_checkpoint_is_loaded(tmp_path):
    torch.save(dict(state_dict=dict(weight=torch.ones(2)), message_hub=HistoryBuffer([1.0], [1])), tmp_path / 'a.pth')
    loaded = load_checkpoint_file(str(tmp_path / 'a.pth'))
    assert torch.equal(loaded['state_dict']['weight'], torch.ones(2))


def test_missing(tmp_path):
    (tmp_path / 'epoch_12.pth').touch()
    with pytest.raises(UserError, match=r'epoch_21\.pth does not exist\. Did you mean: epoch_12\.pth\?'):
        load_checkpoint_file(tmp_path / 'epoch_21.pth')
    with pytest.raises(UserError, match='does not exist'):
        load_checkpoint_file(tmp_path / 'nowhere' / 'a.pth')
    with pytest.raises(UserError, match=rf'checkpoint {tmp_path} is a folder; give a file of it: epoch_12\.pth\.'):
        load_checkpoint_file(tmp_path)
    with pytest.raises(UserError, match='the path of the checkpoint is empty'):
        load_checkpoint_file('')


def test_url():
    assert require_checkpoint('https://example.org/a.pth') is None
    with pytest.raises(UserError, match='is a URL; download'):
        load_checkpoint_file('https://example.org/a.pth')


def test_hostile(tmp_path):
    torch.save(dict(state_dict={}, meta=Reduces(os.system, f'touch {tmp_path}/harmed')), tmp_path / 'a.pth')
    with pytest.raises(UserError, match=r'a\.pth was refused: .* wants to run (posix|nt)\.system'):
        load_checkpoint_file(tmp_path / 'a.pth')
    assert not (tmp_path / 'harmed').exists()


def test_hostile_getattr(tmp_path):
    torch.save(dict(meta=Reduces(getattr, HistoryBuffer, '__init__')), tmp_path / 'a.pth')
    with pytest.raises(UserError, match=r'was refused: .*getattr\(.*__init__.*is not allowed'):
        load_checkpoint_file(tmp_path / 'a.pth')


def test_hostile_plain_pickle(tmp_path):
    (tmp_path / 'a.pth').write_bytes(pickle.dumps(Reduces(os.system, f'touch {tmp_path}/harmed')))
    with pytest.raises(UserError, match=r'a\.pth (was refused|is not a checkpoint)'):
        load_checkpoint_file(tmp_path / 'a.pth')
    assert not (tmp_path / 'harmed').exists()


@pytest.mark.parametrize('content', [b'', b'text\n', b'PK\x03\x04 no archive', b'\x80\x02', b'\x00' * 300, b'<html>'])
def test_not_a_checkpoint(tmp_path, content):
    (tmp_path / 'a.pth').write_bytes(content)
    with pytest.raises(UserError, match=r'a\.pth is not a checkpoint .*or it is truncated'):
        load_checkpoint_file(tmp_path / 'a.pth')


@pytest.mark.parametrize('share', [0.1, 0.5, 0.9, 0.99])
def test_truncated(tmp_path, share):
    torch.save(dict(state_dict=dict(weight=torch.randn(100, 100))), tmp_path / 'a.pth')
    data = (tmp_path / 'a.pth').read_bytes()
    (tmp_path / 'a.pth').write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UserError, match=r'a\.pth is not a checkpoint .*or it is truncated'):
        load_checkpoint_file(tmp_path / 'a.pth')


@pytest.mark.filterwarnings('ignore')
def test_torchscript(tmp_path):
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2)), str(tmp_path / 'a.pt'))
    with pytest.raises(UserError, match=r'a\.pt is a TorchScript archive'):
        load_checkpoint_file(tmp_path / 'a.pt')


class TestMMEngine:
    """``load_from``, ``--resume`` and ``init_cfg`` go through the same door."""

    def test_loads(self, tmp_path):
        model, other = nn.Linear(2, 2), nn.Linear(2, 2)
        torch.save(dict(state_dict=model.state_dict()), tmp_path / 'a.pth')
        load_checkpoint(other, str(tmp_path / 'a.pth'))
        assert torch.equal(other.weight, model.weight)

    def test_refuses(self, tmp_path):
        torch.save(dict(state_dict=Reduces(os.system, 'true')), tmp_path / 'a.pth')
        with pytest.raises(UserError, match=r'a\.pth was refused'):
            load_checkpoint(nn.Linear(2, 2), str(tmp_path / 'a.pth'))

    def test_missing(self, tmp_path):
        with pytest.raises(UserError, match='does not exist'):
            CheckpointLoader.load_checkpoint(str(tmp_path / 'a.pth'))

    def test_download(self, tmp_path, monkeypatch):
        monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'hub'))
        torch.save(dict(a=torch.ones(1)), tmp_path / 'a.pth')
        torch.save(dict(a=Reduces(os.system, 'true')), tmp_path / 'b.pth')
        real = torch.hub.download_url_to_file

        def download(url, target, *args, **kwargs):
            if 'gone' in url:
                raise urllib.error.URLError('no such host')
            real(f'file://{tmp_path}/{os.path.basename(url)}', target, *args, **kwargs)

        monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
        assert CheckpointLoader.load_checkpoint('https://example.org/a.pth', 'cpu')['a'] == 1
        with pytest.raises(UserError, match=r'https://example\.org/b\.pth was refused'):
            CheckpointLoader.load_checkpoint('https://example.org/b.pth', 'cpu')
        with pytest.raises(UserError, match=r'cannot download https://example\.org/gone\.pth: .*no such host'):
            CheckpointLoader.load_checkpoint('https://example.org/gone.pth', 'cpu')
