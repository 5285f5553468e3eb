"""A checkpoint is whole or it is not there, whoever is killed or finds the disk full while saving."""

import errno
import os
import pickle
import signal
import subprocess
import sys

import mmengine
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from tiny_runs import run_config, write_dataset

from textxfer_mm.engine.checkpoint import load_checkpoint_file
from textxfer_mm.errors import UserError


def runner(tmp_path, epochs, **hook):
    cfg = Config(run_config(tmp_path / 'videos' / 'list.txt', tmp_path / 'run', epochs=epochs))
    cfg.train_cfg.val_interval = 1
    cfg.default_hooks.checkpoint.update(max_keep_ckpts=1, save_best='acc/top1', rule='greater', **hook)
    cfg.experiment_name = f'{tmp_path}{epochs}'
    return Runner.from_cfg(cfg)


@pytest.fixture
def work_dir(tmp_path):
    write_dataset(tmp_path / 'videos', good=4)
    return tmp_path / 'run'


def checkpoints(work_dir):
    return sorted(path.name for path in work_dir.glob('*.pth'))


class Seen:
    """Notes which checkpoints are there whenever something is about to take its place."""

    def __init__(self, monkeypatch, work_dir, fail_at=None):
        self.names, self.work_dir, self.replace = [], work_dir, os.replace
        self.fail_at = fail_at
        monkeypatch.setattr('os.replace', self)

    def __call__(self, part, path):
        if str(path).startswith(str(self.work_dir)):
            self.names.append((os.path.basename(path), checkpoints(self.work_dir)))
            if self.fail_at and self.fail_at in str(path):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.replace(part, path)


def always_better(monkeypatch):
    """Let each validation be the best so far."""
    scores = iter(range(100))
    monkeypatch.setattr('mmaction.evaluation.AccMetric.calculate', lambda *_, **__: {'top1': next(scores)})


def test_the_old_one_goes_when_the_new_one_is_there(work_dir, monkeypatch, tmp_path):
    always_better(monkeypatch)
    seen = Seen(monkeypatch, work_dir)
    runner(tmp_path, epochs=2).train()
    before = dict(reversed(seen.names))  # what was there when a file was written for the first time
    assert 'epoch_1.pth' in before['epoch_2.pth']
    assert 'best_acc_top1_epoch_1.pth' in before['best_acc_top1_epoch_2.pth']
    assert 'last_checkpoint' in before
    assert checkpoints(work_dir) == ['best_acc_top1_epoch_2.pth', 'epoch_2.pth']
    assert (work_dir / 'last_checkpoint').read_text() == str(work_dir / 'epoch_2.pth')


@pytest.mark.parametrize(
    ('file', 'kept'),
    [
        ('epoch_2.pth', ['best_acc_top1_epoch_1.pth', 'epoch_1.pth']),
        ('best_acc_top1_epoch_2.pth', ['best_acc_top1_epoch_1.pth', 'epoch_2.pth']),
    ],
)
def test_a_full_disk_leaves_the_last_good_ones(file, kept, work_dir, monkeypatch, tmp_path):
    always_better(monkeypatch)
    Seen(monkeypatch, work_dir, fail_at=f'/{file}')
    with pytest.raises(UserError, match=rf'{file} could not be written: No space left.*epoch_\d.pth stands: .*--res'):
        runner(tmp_path, epochs=2).train()
    assert checkpoints(work_dir) == kept
    assert all(load_checkpoint_file(work_dir / name) for name in kept)
    assert not list(work_dir.glob('.*'))


def test_a_best_checkpoint_that_is_written_again_stays(work_dir, monkeypatch, tmp_path):
    """A validation that is repeated after a resume gives the file the name it had."""
    always_better(monkeypatch)
    built = runner(tmp_path, epochs=1)
    built.train()
    hook = next(hook for hook in built.hooks if isinstance(hook, CheckpointHook))
    hook.after_val_epoch(built, {'acc/top1': 99})
    assert checkpoints(work_dir) == ['best_acc_top1_epoch_1.pth', 'epoch_1.pth']


def test_dumped_results_appear_whole(tmp_path, monkeypatch):
    mmengine.dump([1], str(tmp_path / 'a.pkl'))
    mmengine.dump(dict(a=1), str(tmp_path / 'deeper' / 'a.json'))

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr('os.fsync', full)
    for name in ('a.pkl', 'deeper/a.json'):
        with pytest.raises(UserError, match=f'{name} could not be written'):
            mmengine.dump([2], str(tmp_path / name))
    assert pickle.loads((tmp_path / 'a.pkl').read_bytes()) == [1]
    assert mmengine.load(tmp_path / 'deeper' / 'a.json') == dict(a=1)
    assert len(list(tmp_path.rglob('*.*'))) == 2


def test_a_process_killed_while_it_saves_leaves_what_was_there(tmp_path):
    code = f"""
import os, signal, torch
import textxfer_mm.register
from mmengine.runner import save_checkpoint
save_checkpoint(dict(state_dict=dict(a=torch.ones(3))), {str(tmp_path / 'a.pth')!r})
def fsync(file):
    os.kill(os.getpid(), signal.SIGKILL)
os.fsync = fsync
save_checkpoint(dict(state_dict=dict(a=torch.zeros(3))), {str(tmp_path / 'a.pth')!r})
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert torch.equal(load_checkpoint_file(tmp_path / 'a.pth')['state_dict']['a'], torch.ones(3))
