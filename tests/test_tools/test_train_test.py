"""``tools/train.py`` and ``tools/test.py``: MMAction2's arguments, one-line errors."""

import errno
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmcv.transforms import LoadImageFromFile
from mmengine.config import Config
from scripts import load_script
from tiny_runs import run_config, save_checkpoint, write_dataset
from torch.distributed import TCPStore
from torch.utils.data import DataLoader

from textxfer_mm.engine import launch
from textxfer_mm.errors import UserError

TOOLS = Path(__file__).parents[2] / 'tools'


train, test = load_script('tools/train.py'), load_script('tools/test.py')


@pytest.fixture
def config(tmp_path):
    """Write a tiny config file; return its path."""

    def write(**changes):
        cfg = Config(run_config(write_dataset(tmp_path / 'videos', good=4), tmp_path / 'run'))
        cfg.merge_from_dict(changes)
        cfg.dump(tmp_path / 'tiny.py')
        return tmp_path / 'tiny.py'

    return write


@pytest.fixture
def merged(monkeypatch):
    """Parse a command line as a tool would and return the merged config."""

    def merged(tool, *argv):
        monkeypatch.setattr(sys, 'argv', ['tool', *map(str, argv)])
        monkeypatch.setenv('LOCAL_RANK', '0')
        args = tool.parse_args()
        cfg = launch.config_of_args(args)
        tool.merge_args(cfg, args)
        return cfg

    return merged


def run(tool, *argv, **env):
    command = [sys.executable, str(TOOLS / f'{tool}.py'), *map(str, argv)]
    path = f'{TOOLS.parent}{os.pathsep}{os.environ.get("PYTHONPATH", "")}'
    env = {**os.environ, 'PYTHONPATH': path, 'OMP_NUM_THREADS': '1', **env}
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=300)


def errors(done):
    return [line for line in done.stderr.splitlines() if line.startswith('error: ')]


def test_train_resume_and_test(tmp_path, config, in_process):
    path = config()
    done = run('train', path, '--amp', '--cfg-options', 'train_cfg.max_epochs=1')
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'run' / 'epoch_1.pth').is_file()
    assert in_process(train, path, '--resume', '--no-validate', '--cfg-options', 'train_cfg.max_epochs=2') == 0
    assert any('resumed epoch: 1' in log.read_text() for log in (tmp_path / 'run').rglob('*.log'))
    done = run('test', path, tmp_path / 'run' / 'epoch_2.pth', '--dump', tmp_path / 'scores.pkl')
    assert done.returncode == 0, done.stderr
    assert 'acc/top1' in done.stdout
    scores = pickle.loads((tmp_path / 'scores.pkl').read_bytes())
    assert [tuple(sample['pred_score'].shape) for sample in scores] == [(2,)] * 4


def test_an_error_is_one_line_and_status_2(tmp_path, config):
    path = config()
    (tmp_path / 'videos' / 'list.txt').write_text('good0.mp4 5\n')
    done = run('train', path)
    assert done.returncode == 2
    (line,) = errors(done)
    assert 'line 1' in line
    assert 'label 5 is out of range: the head has 2 classes' in line
    assert 'Traceback' not in done.stderr


def test_corrupt_test_videos_are_one_line_too(tmp_path, config, capsys, in_process):
    path = config(**{'test_dataloader.num_workers': 2})
    (tmp_path / 'videos' / 'good1.mp4').write_bytes(b'')
    assert in_process(test, path, save_checkpoint(path, tmp_path / 'a.pth')) == 2
    captured = capsys.readouterr()
    (line,) = [line for line in captured.err.splitlines() if line.startswith('error: ')]
    assert '1 of 4 test videos could not be decoded' in line
    assert 'good1.mp4 (empty file)' in line
    assert 'acc/top1' not in captured.out


def test_an_error_in_a_data_worker_is_one_line_too(capsys):
    def main():
        raise UserError(
            'Caught UserError in DataLoader worker process 0.\nTraceback ...\nmodule.UserError: what went wrong\n'
        )

    assert launch.run_tool(main) == 2
    assert capsys.readouterr().err == 'error: what went wrong\n'


def test_ranks_of_slurm_and_mpi_are_named(monkeypatch, capsys):
    def main():
        raise UserError('what went wrong')

    monkeypatch.setenv('SLURM_PROCID', '0')
    assert launch.run_tool(main) == 2
    monkeypatch.delenv('SLURM_PROCID')
    monkeypatch.setenv('OMPI_COMM_WORLD_RANK', '3')
    assert launch.run_tool(main) == 2
    assert capsys.readouterr().err == 'error: what went wrong\nrank 3: error: what went wrong\n'


def test_ranks_report_a_message_once(monkeypatch, capsys):
    def said():
        def main(message):
            raise UserError(message)

        for message in 'abab':
            assert launch.run_tool(lambda message=message: main(message)) == 2
        return capsys.readouterr().err.replace('error: ', '').split()

    store = TCPStore('127.0.0.1', 0, is_master=True)
    monkeypatch.setenv('MASTER_ADDR', '127.0.0.1')
    monkeypatch.setenv('MASTER_PORT', str(store.port))
    assert said() == [*'abab']  # without torchrun each speaks for itself
    monkeypatch.setenv('TORCHELASTIC_USE_AGENT_STORE', 'True')
    assert said() == [*'ab']


def test_other_errors_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        launch.run_tool(lambda: 1 / 0)


@pytest.mark.parametrize('num_workers', [0, 1])
def test_an_image_that_cannot_be_decoded_is_one_line(num_workers, tmp_path, capsys):
    (tmp_path / 'a.png').write_text('no image')
    load = LoadImageFromFile()
    images = DataLoader(
        [dict(img_path=str(tmp_path / 'a.png'))], num_workers=num_workers, collate_fn=lambda batch: load(batch[0])
    )
    assert launch.run_tool(lambda: next(iter(images))) == 2
    said = capsys.readouterr().err
    assert said.startswith(f'error: cannot decode {tmp_path / "a.png"}: it is no image, or a damaged one. Restore it,')
    assert said.count('\n') == 1


def test_a_full_disk_is_one_line(capsys):
    def full(number):
        raise OSError(number, os.strerror(number))

    assert launch.run_tool(lambda: full(errno.ENOSPC)) == 2
    assert capsys.readouterr().err.startswith('error: No space left on device. The checkpoints that were saved before')
    with pytest.raises(FileNotFoundError):
        launch.run_tool(lambda: full(errno.ENOENT))


def test_an_interruption_is_one_word(capsys):
    def interrupted():
        raise KeyboardInterrupt

    assert launch.run_tool(interrupted) == 130
    assert capsys.readouterr().err == 'interrupted\n'


@pytest.mark.parametrize(('tool', 'rest'), [(train, []), (test, ['a.pth'])])
def test_a_config_without_its_base(tmp_path, capsys, in_process, tool, rest):
    (tmp_path / 'a.pth').touch()
    (tmp_path / 'part.py').write_text("model = dict(cls_head=dict(type='TextEmbeddingHead'))\n")
    assert in_process(tool, tmp_path / 'part.py', *rest) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert 'part.py is no whole config: it has no ' in line
    assert '_dataloader' in line
    assert 'Begin it with `_base_ = [...]`' in line


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda state: state.pop('cls_head.fc_cls.bias'), 'missing keys in source state_dict: cls_head.fc_cls.bias'),
        (lambda state: state.update({'neck.a': torch.ones(1)}), 'unexpected key in source state_dict: neck.a'),
        (lambda state: state.update({'cls_head.fc_cls.bias': torch.ones(7)}), 'size mismatch for cls_head.fc_cls.bias'),
        (lambda state: state.clear(), 'holds no state_dict'),
    ],
)
def test_a_checkpoint_of_another_architecture_is_not_tested(
    change, message, tmp_path, config, monkeypatch, capsys, in_process
):
    path = config()
    checkpoint = save_checkpoint(path, tmp_path / 'a.pth')
    state = torch.load(checkpoint, weights_only=True)['state_dict']
    change(state)
    torch.save(dict(state_dict=state), checkpoint)
    assert in_process(test, path, checkpoint) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert 'acc/top1' not in captured.out


def test_batch_counters_may_be_missing(tmp_path, config, in_process):
    path = config()
    checkpoint = save_checkpoint(path, tmp_path / 'a.pth')
    state = torch.load(checkpoint, weights_only=True)['state_dict']
    kept = {key: value for key, value in state.items() if 'num_batches_tracked' not in key}
    assert len(kept) < len(state)
    torch.save(dict(state_dict=kept), checkpoint)
    assert in_process(test, path, checkpoint) == 0


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--work-dir', '{}/taken'], '--work-dir {}/taken is no folder that can be written to'),
        (['--work-dir', '{}/taken/inner'], 'is no folder that can be written to'),
        (
            ['--cfg-options', 'model.cls_head.type=TSNHeat'],
            "type='TSNHeat' of the config is no registered model. Did you mean: TSNHead",
        ),
        (['--cfg-options', 'test_dataloader.dataset.type=VideoDatasett'], 'Did you mean: VideoDataset'),
        (['--cfg-options', 'test_dataloader.dataset.pipeline.0.type=DecordInt'], 'Did you mean: DecordInit'),
        (  # TSNHead hands it on to its base
            ['--cfg-options', 'model.cls_head.num_class=2'],
            "The config has a wrong argument of TSNHead: 'num_class'. Did you mean: num_class",
        ),
        (['--cfg-options', 'test_dataloader.dataset.pipeline.3.scales=1'], "'scales'. Did you mean: scale"),
        (
            ['--cfg-options', 'test_dataloader.dataset.pipeline.5.type=ThreeCrop'],
            'lacks something: ThreeCrop missing 1',
        ),
        (['--cfg-options', 'test_dataloader.dataset.pipeline.40.type=a'], '--cfg-options do not fit'),
    ],
)
def test_mistakes_are_one_line(arguments, message, tmp_path, config, capsys, in_process):
    path = config()
    (tmp_path / 'taken').touch()
    checkpoint = save_checkpoint(path, tmp_path / 'a.pth')
    assert in_process(test, path, checkpoint, *(word.format(tmp_path) for word in arguments)) == 2
    captured = capsys.readouterr().err
    (line,) = [line for line in captured.splitlines() if line.startswith('error: ')]
    assert message.format(tmp_path) in line


def test_cfg_options_without_a_value(config, capsys, in_process):
    with pytest.raises(SystemExit) as stop:
        in_process(train, config(), '--cfg-options', 'foo')
    assert stop.value.code == 2
    assert "--cfg-options takes key=value, got 'foo'" in capsys.readouterr().err


def test_a_checkpoint_that_holds_a_list(tmp_path, config, capsys, in_process):
    torch.save([1, 2], tmp_path / 'a.pth')
    assert in_process(test, config(), tmp_path / 'a.pth') == 2
    assert 'a.pth holds no state_dict' in capsys.readouterr().err


def test_resuming_an_old_checkpoint_runs_no_code(tmp_path, config, in_process):
    path = config(**{'train_cfg.max_epochs': 1})
    assert in_process(train, path, '--no-validate') == 0
    last = tmp_path / 'run' / 'epoch_1.pth'
    checkpoint = torch.load(last, weights_only=True)
    checkpoint['meta']['config'] = f"open('{tmp_path}/harmed', 'w')"
    torch.save(checkpoint, last)
    options = ('--cfg-options', 'train_cfg.max_epochs=2')
    assert in_process(train, path, '--no-validate', '--resume', last, *options) == 0
    assert not (tmp_path / 'harmed').exists()


def test_hostile_checkpoint(tmp_path, config):
    class Hostile:
        def __reduce__(self):
            return os.system, (f'touch {tmp_path}/harmed',)

    torch.save(dict(state_dict={}, meta=Hostile()), tmp_path / 'a.pth')
    done = run('test', config(), tmp_path / 'a.pth')
    assert done.returncode == 2
    (line,) = errors(done)
    assert 'a.pth was refused' in line
    assert not (tmp_path / 'harmed').exists()


def last_error(captured):
    (line,) = [line for line in captured.err.splitlines() if line.startswith('error: ')]
    assert 'Traceback' not in captured.err
    return line


@pytest.mark.parametrize('dump', [True, False])
def test_lists_without_labels_are_predicted_and_not_scored(tmp_path, config, dump):
    path = config()
    (tmp_path / 'videos' / 'list.txt').write_bytes('good0.mp4\r\ngood1.mp4\r\n'.encode('utf-8-sig'))
    checkpoint = save_checkpoint(path, tmp_path / 'a.pth')
    file = tmp_path / 'scores.pkl' if dump else tmp_path / 'run' / 'predictions.pkl'
    done = run('test', path, checkpoint, *(['--dump', file] if dump else []))
    assert done.returncode == 0, done.stderr
    assert 'acc/' not in done.stdout + done.stderr
    said = f'no labels, so that nothing can be scored (AccMetric left out); the predictions are written to {file}.'
    assert said in done.stdout + done.stderr
    scores = pickle.loads(file.read_bytes())
    assert [tuple(sample['pred_score'].shape) for sample in scores] == [(2,)] * 2


def test_lists_with_some_labels_are_not_tested(tmp_path, config, in_process, capsys):
    path = config()
    (tmp_path / 'videos' / 'list.txt').write_text('good0.mp4\ngood1.mp4 1\n')
    assert in_process(test, path, save_checkpoint(path, tmp_path / 'a.pth')) == 2
    assert '1 of 2 lines have no label. Give all a label, or none' in last_error(capsys.readouterr())


def test_a_missing_video_is_found_before_testing(tmp_path, config, in_process, capsys):
    path = config()
    checkpoint = save_checkpoint(path, tmp_path / 'a.pth')
    (tmp_path / 'videos' / 'good1.mp4').unlink()
    assert in_process(test, path, checkpoint) == 2
    assert '1 of 4 videos of test_dataloader are missing: ' in last_error(capsys.readouterr())
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('split', ['train', 'val'])
def test_missing_videos_are_found_before_training(tmp_path, config, in_process, capsys, split):
    path = config(**{f'{split}_dataloader.dataset.ann_file': str(tmp_path / 'other.txt')})
    (tmp_path / 'other.txt').write_text('good0.mp4 0\ngone.mp4 1\n')
    assert in_process(train, path) == 2
    assert f'1 of 2 videos of {split}_dataloader are missing: ' in last_error(capsys.readouterr())
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
    ('changes', 'arguments', 'message'),
    [
        ({'modell': dict(a=1)}, (), "nothing reads 'modell'. Did you mean: model?"),
        ({}, ('modell.cls_head.topk=1',), "has no 'modell'"),
        ({}, ('train_dataloader.dataset.pipeline.0=DecordInit',), 'one gives a value where it has a dict'),
        ({}, ('optim_wrapper=SGD',), 'optim_wrapper of '),
        ({}, ('optimizer.lr=0.5',), "nothing would read 'optimizer.lr'. Did you mean: optim_wrapper.optimizer"),
        ({'train_dataloader.num_worker': 2}, (), "'num_worker'. Did you mean: num_workers"),
        ({'optim_wrapper.optimizer.lr': '0.01'}, (), "optim_wrapper.optimizer.lr='0.01' of the config is text"),
        ({'custom_hooks': [dict(priority=3)]}, (), 'custom_hooks[0] of the config has no `type`'),
        ({'model.type': None}, (), 'model of the config has no `type`'),
        ({'model.cls_head.dropout_ration': 0.1}, (), "'dropout_ration'. Did you mean: dropout_ratio"),
        ({'train_dataloader.dataset.data_prefix': dict(img='.')}, (), "VideoDataset takes dict(video='FOLDER')"),
        ({'model.cls_head.multi_class': True}, (), 'The head of the config has multi_class=True'),
        ({'val_evaluator.type': 'ConfusionMatrix', 'default_hooks.checkpoint.save_best': 'auto'}, (), 'is no number'),
    ],
)
def test_slips_leave_no_work_dir_behind(tmp_path, config, in_process, capsys, changes, arguments, message):
    path = config()
    cfg = Config.fromfile(path)
    cfg.merge_from_dict({key: value for key, value in changes.items() if key != 'train_dataloader.dataset.data_prefix'})
    if 'train_dataloader.dataset.data_prefix' in changes:
        cfg.train_dataloader.dataset.pop('data_prefix')
        cfg.train_dataloader.dataset.data_prefix = dict(img='.')
    cfg.dump(path)
    assert in_process(train, path, *(['--cfg-options', *arguments] if arguments else [])) == 2
    assert message in last_error(capsys.readouterr())
    assert not (tmp_path / 'run').exists()


def test_training_with_balanced_classes(tmp_path, config, in_process):
    path = config(**{'train_cfg.max_epochs': 1})
    cfg = Config.fromfile(path)
    inner = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(type='ClassBalancedDataset', oversample_thr=0.9, dataset=inner)
    cfg.dump(path)
    assert in_process(train, path, '--no-validate') == 0
    assert (tmp_path / 'run' / 'epoch_1.pth').is_file()


class TestArguments:
    def test_work_dir(self, merged, config, tmp_path):
        path = config()
        assert merged(train, path).work_dir == str(tmp_path / 'run')
        assert merged(train, path, '--work-dir', 'there').work_dir == 'there'
        assert merged(test, path, 'a.pth', '--cfg-options', 'work_dir=None').work_dir == './work_dirs/tiny'

    def test_cfg_options_and_launcher(self, merged, config):
        options = ('train_cfg.max_epochs=7', 'load_from=a.pth')
        cfg = merged(train, config(), '--launcher', 'pytorch', '--cfg-options', *options)
        assert (cfg.train_cfg.max_epochs, cfg.load_from, cfg.launcher) == (7, 'a.pth', 'pytorch')

    @pytest.mark.parametrize('flag', ['--local_rank', '--local-rank'])
    def test_local_rank(self, merged, config, monkeypatch, flag):
        path = config()
        monkeypatch.setattr(sys, 'argv', ['train.py', str(path), flag, '3'])
        args = train.parse_args()
        monkeypatch.delenv('LOCAL_RANK', raising=False)
        launch.config_of_args(args)
        assert os.environ['LOCAL_RANK'] == '3'
        monkeypatch.setenv('LOCAL_RANK', '1')
        launch.config_of_args(args)
        assert os.environ['LOCAL_RANK'] == '1'

    def test_seed(self, merged, config):
        path = config()
        assert merged(train, path).randomness == dict(seed=0)
        cfg = merged(train, path, '--seed', '5', '--diff-rank-seed', '--deterministic')
        assert cfg.randomness == dict(seed=5, diff_rank_seed=True, deterministic=True)

    def test_no_validate(self, merged, config):
        cfg = merged(train, config(), '--no-validate')
        assert (cfg.val_cfg, cfg.val_dataloader, cfg.val_evaluator) == (None, None, None)

    def test_auto_scale_lr(self, merged, config):
        cfg = merged(train, config(), '--auto-scale-lr', '--cfg-options', 'auto_scale_lr.base_batch_size=8')
        assert cfg.auto_scale_lr == dict(base_batch_size=8, enable=True)

    def test_amp_on_cpu(self, merged, config, monkeypatch):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
        wrapper = merged(train, config(), '--amp').optim_wrapper
        assert wrapper == dict(type='AutocastOptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9))
        stock = config(**{'optim_wrapper.type': 'AmpOptimWrapper', 'optim_wrapper.dtype': 'float16'})
        assert merged(train, stock, '--amp').optim_wrapper == wrapper
        assert merged(train, stock).optim_wrapper == wrapper
        assert merged(train, config()).optim_wrapper.type == 'OptimWrapper'

    @pytest.mark.parametrize('bf16', [True, False])
    def test_amp_on_gpu(self, merged, config, monkeypatch, bf16):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
        monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda including_emulation: bf16)
        wrapper = merged(train, config(), '--amp').optim_wrapper
        assert (wrapper.type, wrapper.loss_scale) == ('AmpOptimWrapper', 'dynamic')
        assert wrapper.dtype == ('bfloat16' if bf16 else 'float16')
        chosen = merged(train, config(**{'optim_wrapper.dtype': 'float16'}), '--amp').optim_wrapper
        assert chosen.dtype == 'float16'

    def test_amp_with_another_wrapper(self, merged, config):
        with pytest.raises(UserError, match=r"optim_wrapper\.type='ApexOptimWrapper'"):
            merged(train, config(**{'optim_wrapper.type': 'ApexOptimWrapper'}), '--amp')

    def test_dump(self, merged, config):
        path = config()
        cfg = merged(test, path, 'a.pth', '--dump', 'out.pkl')
        assert cfg.test_evaluator == [dict(type='AccMetric'), dict(type='DumpResults', out_file_path='out.pkl')]
        assert cfg.load_from == 'a.pth'

    def test_show(self, merged, config):
        with pytest.raises(UserError, match=r'need default_hooks\.visualization'):
            merged(test, config(), 'a.pth', '--show-dir', 'out')
        path = config(**{'default_hooks.visualization': dict(type='VisualizationHook')})
        hook = merged(test, path, 'a.pth', '--show-dir', 'out', '--interval', '3').default_hooks.visualization
        assert (hook.enable, hook.out_dir, hook.interval, hook.show) == (True, 'out', 3, False)

    def test_class_names(self, merged, config, tmp_path, monkeypatch):
        with pytest.raises(UserError, match='Other class names need a head with a TextClassifier'):
            merged(test, config(), 'a.pth', '--class-names', 'kinetics400')
        classifier = dict(type='TextClassifier', class_names=['a', 'b'])
        path = config(**{'model.cls_head.classifier': classifier})
        (tmp_path / 'names.txt').write_text('running\nwalking\njumping\n')
        monkeypatch.chdir(tmp_path)
        head = merged(test, path, 'a.pth', '--class-names', 'names.txt').model.cls_head
        assert head.classifier.class_names == ['running', 'walking', 'jumping']
        assert 'num_classes' not in head
        head = merged(test, path, 'a.pth', '--class-names', 'ucf101').model.cls_head
        assert len(head.classifier.class_names) == 101

    def test_missing_or_broken_config(self, merged, config, tmp_path):
        config()
        with pytest.raises(UserError, match=r'tinny\.py does not exist\. Did you mean: tiny\.py\?'):
            merged(train, tmp_path / 'tinny.py')
        (tmp_path / 'broken.py').write_text('model = dict(\n')
        with pytest.raises(UserError, match=r'broken\.py cannot be read: SyntaxError'):
            merged(train, tmp_path / 'broken.py')
