"""``tools/train.py --resume``: from the newest checkpoint that is whole, exactly, or not at all."""

import functools
import os
import re
import shutil

import pytest
import torch
from mmengine.config import Config
from scripts import ROOT, load_script
from tiny import TINY_VIT
from tiny_runs import run_config, write_dataset

from textxfer_mm.engine.resuming import choose_resume, resume_point
from textxfer_mm.errors import UserError

train = load_script('tools/train.py')
RECORDED = ('Passed over', 'resumed epoch', 'is done now', 'unfinished or replaced')


def config(folder, *, epochs=3, name='tiny.py', **changes):
    """Write the config of a run whose every validation is the best so far; return its path."""
    cfg = Config(run_config(folder / 'videos' / 'list.txt', folder / 'run', epochs=epochs))
    cfg.train_cfg.val_interval = 1
    cfg.default_hooks.checkpoint.update(max_keep_ckpts=2, save_best='acc/top1', rule='greater')
    cfg.param_scheduler = [dict(type='CosineAnnealingLR', T_max=4, by_epoch=True, convert_to_iter_based=True)]
    cfg.merge_from_dict(changes)
    cfg.dump(folder / name)
    return folder / name


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A run of three epochs, trained once; tests take copies."""
    folder = tmp_path_factory.mktemp('trained')
    write_dataset(folder / 'videos', good=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('sys.argv', ['train.py', str(config(folder))])
        patch.setenv('LOCAL_RANK', '0')
        train.main()
    return folder


@pytest.fixture
def folder(trained, tmp_path):
    """A copy of the trained run; its records name the files of the original."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return tmp_path


def cfg_of(folder):
    cfg = Config.fromfile(config(folder, epochs=4))
    cfg.work_dir = str(folder / 'run')
    return cfg


def log_of(folder):
    """What the newest log says of resuming."""
    newest = max(folder.glob('run/*/*.log'), key=os.path.getmtime).read_text()
    return ' '.join(line for line in newest.splitlines() if any(words in line for words in RECORDED))


def rewrite(path, change):
    checkpoint = torch.load(path, weights_only=True)
    change(checkpoint)
    stamp = path.stat().st_mtime_ns
    torch.save(checkpoint, path)
    os.utime(path, ns=(stamp, stamp))


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def diverge(path):
    rewrite(path, lambda checkpoint: checkpoint['state_dict']['cls_head.fc_cls.weight'].fill_(float('nan')))


BROKEN = [
    (truncate, 'is truncated'),
    (flip, 'is damaged: the checksum of'),
    (lambda path: path.write_bytes(b''), 'is truncated'),
    (lambda path: path.write_text('no such luck'), 'is not a checkpoint'),
    (diverge, r'holds weights that are not finite \(cls_head.fc_cls.weight\)'),
    (lambda path: rewrite(path, lambda checkpoint: checkpoint.pop('optimizer')), 'lacks optimizer'),
    (lambda path: rewrite(path, lambda checkpoint: checkpoint.update(message_hub=5)), 'lacks message_hub'),
    (lambda path: rewrite(path, lambda checkpoint: checkpoint.update(param_schedulers=5)), 'lacks param_schedulers'),
    (lambda path: rewrite(path, lambda checkpoint: checkpoint.update(optimizer={})), 'lacks optimizer'),
    (lambda path: rewrite(path, lambda checkpoint: checkpoint['meta'].update(epoch=-1)), 'lacks the epoch'),
]


class TestWhichOne:
    @pytest.mark.parametrize(('breaking', 'reason'), BROKEN)
    def test_a_broken_one_is_passed_over(self, folder, breaking, reason):
        breaking(folder / 'run' / 'epoch_3.pth')
        found = resume_point(cfg_of(folder))
        assert (found.path, found.epoch) == (folder / 'run' / 'epoch_2.pth', 2)
        (said,) = found.passed_over
        assert re.search(rf'epoch_3\.pth.*{reason}', said)

    def test_older_broken_ones_are_not_talked_of(self, folder):
        older = folder / 'run' / 'epoch_2.pth'
        stamp = (folder / 'run' / 'epoch_3.pth').stat().st_mtime - 100
        truncate(older)
        os.utime(older, (stamp, stamp))
        assert resume_point(cfg_of(folder)).passed_over == ()

    @pytest.mark.parametrize(
        'record', [None, '', '\0\0\0', '/gone/run/epoch_3.pth', 'epoch_3.pth', '/gone/epoch_9.pth']
    )
    def test_without_a_good_record(self, folder, record):
        file = folder / 'run' / 'last_checkpoint'
        file.unlink() if record is None else file.write_text(record)
        found = resume_point(cfg_of(folder))
        assert found.path == folder / 'run' / 'epoch_3.pth'
        assert list(found.passed_over) == (
            [f'{record}, which last_checkpoint names, is gone.'] if record and '9' in record else []
        )

    def test_what_the_record_names_elsewhere_is_taken_where_nothing_else_is(self, folder):
        for file in (folder / 'run').glob('*.pth'):
            file.unlink()
        elsewhere = (folder / 'run' / 'last_checkpoint').read_text()
        assert str(resume_point(cfg_of(folder)).path) == elsewhere

    def test_the_newest_is_the_one_saved_last(self, folder):
        """Not the one with the highest number: that may be of an earlier run in the same folder."""
        rewrite(folder / 'run' / 'epoch_3.pth', lambda checkpoint: checkpoint['meta'].update(time='20200101_000000'))
        assert resume_point(cfg_of(folder)).epoch == 2

    def test_if_none_can_be_used_it_does_not_begin_anew(self, folder):
        for name in ('epoch_2.pth', 'epoch_3.pth'):
            truncate(folder / 'run' / name)
        with pytest.raises(UserError, match=r'no checkpoint in .* can be resumed from\. .*truncated.*without --resume'):
            resume_point(cfg_of(folder))

    def test_an_empty_work_dir_begins_anew(self, folder):
        cfg = cfg_of(folder)
        cfg.update(work_dir=str(folder / 'new'), load_from='start.pth')
        assert choose_resume(cfg, 'auto') is None
        assert (cfg.resume, cfg.load_from) == (False, 'start.pth')

    @pytest.mark.parametrize('in_config', [True, False])
    def test_the_best_one_is_refused(self, folder, in_config):
        cfg, (best,) = cfg_of(folder), (folder / 'run').glob('best_*')
        if in_config:
            cfg.update(resume=True, load_from=str(best))
        with pytest.raises(UserError, match=r'best_acc.* lacks optimizer, param_schedulers, .*load_from=.*best_acc'):
            choose_resume(cfg, None if in_config else str(best))

    def test_another_number_of_schedulers_is_refused(self, folder):
        cfg = cfg_of(folder)
        cfg.param_scheduler = [*cfg.param_scheduler, dict(type='ConstantLR')]
        with pytest.raises(UserError, match=r'holds the state of 1 schedulers .*the config has 2'):
            choose_resume(cfg, str(folder / 'run' / 'epoch_3.pth'))


def test_the_newest_that_is_whole_is_resumed_from(folder, in_process):
    truncate(folder / 'run' / 'epoch_3.pth')
    (folder / 'run' / f'.epoch_3.{"0a" * 16}.pth').touch()
    (folder / 'run' / 'red\x1b[31m.pth').touch()
    assert in_process(train, config(folder, epochs=4), '--resume') == 0
    log = log_of(folder)
    assert re.search(r'Passed over .*epoch_3\.pth', log)
    assert r'red\x1b[31m.pth is' in log
    assert 'resumed epoch: 2' in log
    assert 'Removed 1 files, unfinished or replaced' in log
    assert sorted(path.name for path in folder.glob('run/.*')) == []
    assert torch.load(folder / 'run' / 'epoch_4.pth', weights_only=True)['meta']['epoch'] == 4


def test_a_copied_run_leaves_the_best_of_the_original_alone(trained, folder, in_process, monkeypatch):
    monkeypatch.setattr('mmaction.evaluation.AccMetric.calculate', lambda *_, **__: dict(top1=2.0))
    (best,) = (trained / 'run').glob('best_*')
    assert in_process(train, config(folder, epochs=4), '--resume') == 0
    assert best.exists()
    assert [path.name for path in (folder / 'run').glob('best_*')] == ['best_acc_top1_epoch_4.pth']


@pytest.mark.parametrize('killed_at', [1, 2])
def test_what_was_replaced_is_removed_though_the_run_was_killed_before(folder, in_process, monkeypatch, killed_at):
    """The old checkpoint goes after the new one is there, and nobody would come back to it."""

    def remove(backend, path):
        calls.append(path)
        if len(calls) == killed_at:
            raise KeyboardInterrupt
        os.remove(path)

    calls, path = [], config(folder, epochs=5)
    monkeypatch.setattr('mmaction.evaluation.AccMetric.calculate', lambda *_, **__: dict(top1=2.0))
    with monkeypatch.context() as patch:
        patch.setattr('mmengine.fileio.LocalBackend.remove', remove)
        assert in_process(train, path, '--resume') == 130
    assert os.path.exists(calls[-1])
    assert in_process(train, path, '--resume') == 0
    assert not os.path.exists(calls[-1])
    assert 'unfinished or replaced' in log_of(folder)


def test_a_run_stopped_before_its_last_validation_validates(folder, in_process, monkeypatch):
    def interrupted(loop):
        raise KeyboardInterrupt

    path = config(folder, epochs=4)
    with monkeypatch.context() as patch:
        patch.setattr('mmengine.runner.ValLoop.run', interrupted)
        assert in_process(train, path, '--resume') == 130
    monkeypatch.setattr('mmaction.evaluation.AccMetric.calculate', lambda *_, **__: dict(top1=2.0))
    assert in_process(train, path, '--resume') == 0
    assert 'is done now' in log_of(folder)
    assert [path.name for path in (folder / 'run').glob('best_*')] == ['best_acc_top1_epoch_4.pth']
    held = torch.load(folder / 'run' / 'epoch_4.pth', weights_only=True)['message_hub']['runtime_info']
    assert (held['best_score'], held['best_ckpt']) == (2.0, str(folder / 'run' / 'best_acc_top1_epoch_4.pth'))


@pytest.mark.parametrize(('length', 'ranks'), [(3, 1), (2, 4)])
def test_an_epoch_that_was_begun_elsewise_is_refused(folder, in_process, capsys, length, ranks):
    within = dict(done=1, length=length, ranks=ranks)
    shutil.copy(folder / 'run' / 'epoch_3.pth', folder / 'run' / 'stopped.pth')
    rewrite(folder / 'run' / 'stopped.pth', lambda checkpoint: checkpoint['meta'].update(iter=7, within_epoch=within))
    assert in_process(train, config(folder, epochs=4), '--resume') == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error: ')]
    assert f'after 1 of the {length} iterations of an epoch, on {ranks} processes; EpochBasedTrainLoop has 2' in line


def test_a_run_that_has_no_checkpoint_yet_says_that_it_begins(folder, in_process, capsys):
    capsys.readouterr()
    arguments = ('--resume', '--no-validate', '--work-dir', folder / 'new', '--cfg-options', 'train_cfg.max_epochs=1')
    assert in_process(train, config(folder), *arguments) == 0
    assert capsys.readouterr().out.startswith(f'Nothing to resume in {folder / "new"}: training starts anew.\n')


def test_a_finished_run_says_so(folder, in_process, capsys):
    capsys.readouterr()
    assert in_process(train, config(folder), '--resume') == 0
    captured = capsys.readouterr()
    (line,) = captured.out.splitlines()
    assert re.match(r'The run in .*run is finished: .*epoch_3\.pth \(epoch 3, iteration 6\)\. To go on, raise', line)
    assert len(list(folder.glob('run/*/*.log'))) == 1  # nothing was started


def test_an_optimizer_that_does_not_fit_is_one_line(folder, in_process, capsys):
    path = config(
        folder, epochs=4, **{'optim_wrapper.paramwise_cfg': dict(custom_keys={'backbone': dict(lr_mult=0.1)})}
    )
    assert in_process(train, path, '--resume') == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error: ')]
    assert 'the state of the optimizer in' in line
    assert 'does not fit this config' in line


def test_a_model_that_does_not_fit_is_one_line(folder, in_process, capsys):
    assert in_process(train, config(folder, epochs=4, **{'model.cls_head.num_classes': 3}), '--resume') == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error: ')]
    assert 'size mismatch for cls_head.fc_cls.weight' in line


def glossed_config(folder, epochs, **changes):
    """Write a config whose class names have glosses behind them."""
    rows = dict(
        type='TextClassifier',
        class_names=['a', 'b'],
        templates='{}',
        encoder=dict(type='CLIPTextEncoder', arch=TINY_VIT),
        glosses=dict(a='the first letter', b='the second letter'),
    )
    head = dict(
        _delete_=True,
        type='TextEmbeddingHead',
        in_channels=256,
        projection='linear',
        classifier={**rows, **changes},
        topk=1,
    )
    return config(folder, epochs=epochs, **{'model.cls_head': head, 'model.data_preprocessor.format_shape': 'NCHW'})


@pytest.fixture(scope='module')
def glossed_run(tmp_path_factory):
    """An epoch of a run whose class names have glosses; tests take copies."""
    folder = tmp_path_factory.mktemp('glossed')
    write_dataset(folder / 'videos', good=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('sys.argv', ['train.py', str(glossed_config(folder, 1))])
        patch.setenv('LOCAL_RANK', '0')
        train.main()
    return folder


@pytest.fixture
def glossed(glossed_run, tmp_path):
    """Write a config beside a copy of that run, with changes of its classifier."""
    shutil.copytree(glossed_run, tmp_path, dirs_exist_ok=True)
    return functools.partial(glossed_config, tmp_path)


class TestOtherClasses:
    def config(self, folder, names, epochs):
        rows = dict(type='RandomClassifier', class_names=names, embed_dims=256)
        head = dict(_delete_=True, type='TextEmbeddingHead', in_channels=256, classifier=rows, topk=1)
        return config(folder, epochs=epochs, **{'model.cls_head': head, 'model.data_preprocessor.format_shape': 'NCHW'})

    @pytest.mark.parametrize(
        ('names', 'difference'),
        [(['b', 'a'], "class 0 is 'b' here and 'a' there"), (['a', 'b', 'c'], 'the config has 3 classes')],
    )
    def test_they_are_an_error_unless_asked_for(self, names, difference, tmp_path, in_process, capsys):
        write_dataset(tmp_path / 'videos', good=4)
        assert in_process(train, self.config(tmp_path, ['a', 'b'], 1)) == 0
        path = self.config(tmp_path, names, 2)
        assert in_process(train, path, '--resume') == 2
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error: ')]
        assert difference in line
        assert '--allow-other-classes' in line
        assert in_process(train, path, '--resume', '--allow-other-classes') == 0


def test_no_parser_takes_a_part_of_an_option(config_file, in_process, capsys):
    """``--resum`` was taken for ``--resume``, and a misspelt ``--cfg`` for ``--cfg-options``."""
    with pytest.raises(SystemExit):
        in_process(train, config_file, '--resum')
    assert 'unrecognized arguments: --resum' in capsys.readouterr().err
    sources = [path.read_text() for folder in ('tools', 'benchmarks') for path in (ROOT / folder).rglob('*.py')]
    parsers = [call for text in sources for call in re.findall(r'ArgumentParser\(.*?\)\n', text, flags=re.S)]
    assert len(parsers) > 8
    assert all('allow_abbrev=False' in call for call in parsers)


@pytest.fixture
def config_file(tmp_path):
    write_dataset(tmp_path / 'videos', good=2)
    return config(tmp_path)

    @pytest.mark.parametrize(
        ('changes', 'difference'),
        [
            (
                dict(glosses=dict(a='the first letter', b='the last letter')),
                "the glosses of the classes are others in the config (2) than in the checkpoint (2): of 'b', 'the last "
                "letter' here and 'the second letter' there.",
            ),
            (dict(glosses=None), 'glosses of the classes are others in the config (none) than in the checkpoint (2). '),
            (
                dict(templates=['{}, a letter']),
                "the templates of the classes are others in the config (1) than in the checkpoint (1): '{}, a letter' "
                "here and '{}' there.",
            ),
            (
                dict(encoder=dict(type='CLIPTextEncoder', arch=dict(TINY_VIT, quick_gelu=False))),
                'the class names are embedded by ',
            ),
        ],
    )
    def test_so_is_what_else_the_rows_were_made_of(self, changes, difference, glossed, in_process, capsys):
        path = glossed(2, **changes)
        assert in_process(train, path, '--resume') == 2
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error: ')]
        assert line.startswith('error: --resume: ')
        assert difference in line
        assert line.endswith('--allow-other-classes.')

    def test_the_same_glosses_go_on(self, glossed, in_process):
        assert in_process(train, glossed(2), '--resume') == 0
