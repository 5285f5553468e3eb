"""What a person sees of a training: a few lines, one an epoch, a summary and all warnings; files keep everything."""

import functools
import io
import json
import multiprocessing
import re
import shlex
import signal
import sys
import time
import types

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import HOOKS, METRICS
from PIL import Image
from rich.console import Console
from scripts import ROOT, load_script
from tiny_runs import run_config, write_dataset

from textxfer_mm.engine import launch
from textxfer_mm.engine.terminal import hook as hook_room
from textxfer_mm.engine.terminal import measures
from textxfer_mm.engine.terminal import screen as screen_room
from textxfer_mm.engine.terminal.confusion import ConfusionCounts
from textxfer_mm.log_bridge import TO_TERMINAL

train, test = load_script('tools/train.py'), load_script('tools/test.py')


@HOOKS.register_module()
class _InterruptingHook(Hook):
    """Ctrl-C in the middle of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.epoch == self.epoch:
            raise KeyboardInterrupt


@METRICS.register_module()
class _FallingMetric(BaseMetric):
    """A score that falls from validation to validation."""

    times = 0

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        self.times += 1
        return dict(falling=1 / self.times)


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp('videos'), good=4)


@pytest.fixture
def typed(tmp_path, monkeypatch):
    """Run a tool in a folder of its own, as if typed."""

    def typed(tool, script, *argv):
        monkeypatch.setattr(sys, 'argv', [str(ROOT / 'tools' / script), *map(str, argv)])
        monkeypatch.setenv('LOCAL_RANK', '0')
        monkeypatch.chdir(tmp_path)
        return launch.run_tool(tool.main)

    return typed


@pytest.fixture
def run(tmp_path, videos, typed, capsys):
    """Train a tiny recognizer with changes of its config; return status, lines of stdout and lines of stderr."""

    def run(*argv, ann_file=videos, **changes):
        cfg = Config(run_config(ann_file, 'run', epochs=3))
        cfg.train_cfg.val_interval = 1
        cfg.default_hooks.checkpoint.save_best = 'auto'
        cfg.merge_from_dict({key.replace('__', '.'): value for key, value in changes.items()})
        cfg.dump(tmp_path / 'tiny.py')
        capsys.readouterr()
        status = typed(train, 'train.py', 'tiny.py', *argv)
        said = capsys.readouterr()
        return status, said.out.splitlines(), said.err.splitlines()

    return run


def log_lines(folder):
    """The lines of the newest log, without times and the places that are the run's own."""
    text = max(folder.glob('*/*.log')).read_text()
    text = re.sub(r'\d{4}/\d\d/\d\d \d\d:\d\d:\d\d|\d{8}_\d{6}', 'T', text)
    text = re.sub(r'(eta: \S+|time: [\d.]+|memory: \d+)', 'N', text)
    return [line for line in text.splitlines() if not line.startswith('terminal = ')]


def scalars(folder):
    """What each line of the scalars holds, and the losses."""
    lines = [json.loads(line) for line in max(folder.glob('*/vis_data/scalars.json')).read_text().splitlines()]
    return [sorted(line) for line in lines], [line.get('loss') for line in lines]


def test_a_training_prints_a_few_lines_one_an_epoch_and_a_summary(run, tmp_path, typed, capsys):
    status, out, err = run()
    assert (status, err) == (0, [])
    first = next(number for number, line in enumerate(out) if line.startswith('epoch 1 of 3'))
    assert first <= 5, out
    assert out[0].startswith('Training tiny: 3 epochs of 2 iterations, 2 videos each, on CPU')
    assert out[1].startswith('4 videos to train on, 4 to validate on after each epoch; ')
    assert out[2].startswith('Checkpoints go to run; ')
    assert '.log' in out[2]
    for number, line in enumerate(out[first : first + 3], 1):
        assert re.match(rf'epoch {number} of 3  loss: \d\.\d{{4}}  top1_acc: \d\.\d{{4}}  validation acc/top1: ', line)
        assert line.endswith(' left') == (number < 3)
    assert re.match(r'Trained in \d+ s\.', out[first + 3])
    best = re.match(
        r'Best: acc/top1: \d\.\d{4} after epoch \d, in (run/best_acc_top1_epoch_\d\.pth); the last weights '
        r'are in run/epoch_3\.pth\.',
        out[first + 4],
    )
    assert best
    assert (tmp_path / best[1]).is_file()
    for picture in ('curves.png', 'confusion.png'):
        assert f'run/{picture}' in out[first + 5]
        assert np.asarray(Image.open(tmp_path / 'run' / picture).convert('L'), dtype=float).std() > 5
    assert out[first + 6] == 'Next:'
    tester, predict = (line.strip() for line in out[first + 7 :])
    assert predict == f'textxfer predict my_videos/ --checkpoint {best[1]}'
    words = shlex.split(tester)
    assert words[:3] == ['python', str(ROOT / 'tools' / 'test.py'), 'tiny.py']
    assert typed(test, 'test.py', *words[2:]) == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 3, said  # the first, of the file that is read, is MMEngine's
    assert said[1].startswith(f'Testing {best[1]} on 4 videos')
    assert re.search(r'acc/top1: \d\.\d{4}', said[2])


def test_the_files_hold_all_they_held(run, tmp_path):
    """``terminal='log'`` is MMEngine's own way."""
    assert run('--work-dir', 'run')[0] == 0
    few, few_scalars = log_lines(tmp_path / 'run'), scalars(tmp_path / 'run')
    (tmp_path / 'run').rename(tmp_path / 'few')
    status, out, _ = run('--work-dir', 'run', terminal='log')
    assert status == 0
    assert any('Epoch(train) [3]' in line for line in out)
    assert len(out) > 100
    assert few == log_lines(tmp_path / 'run')
    assert few_scalars == scalars(tmp_path / 'run')
    assert not (tmp_path / 'run' / 'curves.png').exists()


def test_warnings_stay_on_the_terminal(run, tmp_path, videos):
    few = tmp_path / 'few.txt'
    few.write_text(''.join(f'{videos.parent}/good{number}.mp4 0\n' for number in (0, 2)))
    status, out, _ = run(
        train_dataloader__dataset__ann_file=str(few),
        model__cls_head__num_classes=3,
        optim_wrapper__paramwise_cfg=dict(custom_keys={'bakbone': dict(lr_mult=0.1), 'logit_scale': dict(lr_mult=0.1)}),
        param_scheduler=[dict(type='LinearLR', start_factor=0.01, by_epoch=True, begin=0, end=1)],
    )
    assert status == 0
    warnings = [line for line in out if line.startswith('warning: ')]
    assert warnings == [
        'warning: 2 of 3 classes have no training video: 1, 2.',
        'warning: The warm-up (LinearLR) is one iteration long, so that the learning rate stays at 0.01 of what it '
        'should become: give more videos, a smaller train_dataloader.batch_size, or a later `end`.',
        "warning: paramwise_cfg.custom_keys of the config: 'bakbone' is in the name of no weight and has no effect. "
        'Did you mean: backbone?',
    ]
    assert warnings[2].removeprefix('warning: ') in max((tmp_path / 'run').glob('*/*.log')).read_text()


def test_a_run_that_goes_on_says_from_where_and_remembers_the_best(run):
    assert run('--cfg-options', 'train_cfg.max_epochs=1')[0] == 0
    status, out, _ = run('--resume', '--cfg-options', 'train_cfg.max_epochs=2', 'optim_wrapper.optimizer.lr=0.01')
    assert status == 0
    assert 'It goes on after epoch 1, from run/epoch_1.pth.' in out
    assert not any(line.startswith('epoch 1 ') for line in out)
    (best,) = [line for line in out if line.startswith('Best: ')]
    assert re.search(r'after epoch [12], in run/best_acc_top1_epoch_[12]\.pth; the last .* run/epoch_2\.pth', best)


def test_other_weights_to_begin_with_are_named(run):
    assert run('--cfg-options', 'train_cfg.max_epochs=1')[0] == 0
    _, out, _ = run('--work-dir', 'other', '--cfg-options', 'load_from=run/epoch_1.pth', 'train_cfg.max_epochs=1')
    assert 'It begins with the weights of run/epoch_1.pth.' in out


def test_a_training_by_iterations(run):
    status, out, _ = run(
        train_cfg=dict(_delete_=True, by_epoch=False, max_iters=5, val_interval=2),
        log_processor=dict(by_epoch=False),
        default_hooks__checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2, save_best=None),
    )
    assert status == 0
    assert out[0].startswith('Training tiny: 5 iterations, 2 videos each')
    assert '4 to validate on after each 2 iterations' in out[1]
    told = [line for line in out if line.startswith('iteration ')]
    assert [line.split('  ')[0] for line in told] == [f'iteration {number} of 5' for number in (2, 4, 5)]
    assert all('loss: ' in line and 'validation acc/top1: ' in line for line in told)
    assert [line.endswith('left') for line in told] == [True, True, False]
    (best,) = [line for line in out if line.startswith('Best: ')]
    assert re.match(r'Best: acc/top1: \d\.\d{4} after iteration [245]', best)
    assert 'run/iter_5.pth' in best


def test_a_training_that_stops_early_says_so(run):
    hook = dict(type='EarlyStoppingHook', monitor='acc/top1', patience=1, min_delta=2.0)
    status, out, _ = run(custom_hooks=[hook], train_cfg__max_epochs=9)
    assert status == 0
    assert next(line for line in out if line.startswith('Trained in')).endswith(
        'Stopped early, 2 of 9 epochs were done.'
    )


def test_without_validation(run, tmp_path):
    """Nor can the curves be drawn: a folder is in their place, which ends no run."""
    (tmp_path / 'run' / 'curves.png').mkdir(parents=True)
    status, out, _ = run('--no-validate')
    assert status == 0
    assert any(line.startswith('warning: run/curves.png could not be drawn: ') for line in out)
    assert not any(line.startswith('Pictures') for line in out)
    assert '4 videos to train on, without validation' in out[1]
    assert 'The last weights are in run/epoch_3.pth.' in out
    assert re.match(
        r'epoch 3 of 3  loss: \d\.\d{4}  top1_acc: \d\.\d{4}$', next(x for x in out if x.startswith('epoch 3'))
    )


def test_a_best_that_was_not_kept(run):
    """Scores by hand: falling, so that the first is the best."""
    status, out, _ = run(
        default_hooks__checkpoint__save_best=None, val_evaluator=dict(_delete_=True, type='_FallingMetric')
    )
    assert status == 0
    (best,) = [line for line in out if line.startswith('Best: ')]
    assert best == (
        "Best: falling: 1.0000 after epoch 1, whose weights were not kept (default_hooks.checkpoint.save_best='auto' "
        'keeps them); falling: 0.3333 after epoch 3; the last weights are in run/epoch_3.pth.'
    )
    assert [line.endswith('(best so far)') for line in out if line.startswith('epoch ')] == [False] * 3
    assert not any('taken for which after epoch 3' in line for line in out)


def test_a_training_that_fails_ends_in_its_error(run):
    status, out, err = run('--cfg-options', 'optim_wrapper.optimizer.lr=1e30')
    assert status == 2
    assert len(err) == 1
    assert err[0].startswith('error: Training has diverged')
    assert not any(line.startswith(('Trained', 'Best', 'Next')) for line in out)


@pytest.mark.parametrize(
    ('epoch', 'kept'),
    [
        (0, 'interrupted: no checkpoint was saved yet'),
        (1, 'interrupted: run/epoch_1.pth was kept; --resume goes on from it'),
    ],
)
def test_an_interruption_says_what_was_kept(run, epoch, kept):
    status, _, err = run(custom_hooks=[dict(type='_InterruptingHook', epoch=epoch)])
    assert (status, err) == (130, [kept])
    if epoch:
        status, _, err = run('--resume', custom_hooks=[dict(type='_InterruptingHook', epoch=1)])
        again = 'interrupted: no other checkpoint was saved; --resume goes on from run/epoch_1.pth again'
        assert (status, err) == (130, [again])


def test_an_interruption_does_not_wait_for_data_workers(capsys):
    def main():
        worker.start()
        raise KeyboardInterrupt

    worker = multiprocessing.get_context('fork').Process(target=time.sleep, args=(60,), daemon=True)
    handler = signal.getsignal(signal.SIGCHLD)
    try:
        assert launch.run_tool(main) == 130
        worker.join(2)
        assert not worker.is_alive()
    finally:
        worker.kill()
        signal.signal(signal.SIGCHLD, handler)
    assert capsys.readouterr().err == 'interrupted\n'


def test_what_the_terminal_may_show(run):
    status, _, err = run(terminal='logs')
    assert status == 2
    assert err == ["error: terminal='logs' of tiny.py is neither 'summary' (a line an epoch) nor 'log' (all)."]


def test_a_terminal_shows_a_bar_with_the_lines_above(run, monkeypatch):
    out = io.StringIO()
    terminal = functools.partial(Console, file=out, force_terminal=True, force_interactive=True, width=100)
    monkeypatch.setattr(screen_room, 'Console', terminal)
    monkeypatch.setattr(screen_room, '_REFRESH', 0.0)
    assert run()[0] == 0
    text = re.sub(r'\x1b\[[0-9;?]*[A-Za-z]', '', out.getvalue())
    for bar in ('epoch 1 of 3', 'epoch 3 of 3', 'validation'):
        assert re.search(rf'{bar} [━╸╺ ]+ *1/2', text), text
    assert re.search(r'epoch 2 of 3 [━╸╺ ]+ *2/2 loss: \d\.\d{4}', text)
    assert text.index('epoch 2 of 3  loss: ') < text.index('Best: ') < text.index('Next:')
    assert out.getvalue().count('\x1b[?25l') == out.getvalue().count('\x1b[?25h')  # the cursor is there again


def test_what_a_logger_shows_and_what_its_file_holds(tmp_path, capsys):
    logger = MMLogger(name='shown', logger_name='mmengine', log_file=str(tmp_path / 'a.log'))
    screen_room.speak_on(logger, screen_room.Screen())
    logger.info('an announcement')
    logger.info('for a person', extra=TO_TERMINAL)
    logger.warning('backbone.conv1.weight is skipped since its requires_grad=False')
    logger.warning('look [here] \x1b[31m')
    logger.error('it failed')
    assert capsys.readouterr().out == 'for a person\nwarning: look [here] \\x1b[31m\nerror: it failed\n'
    assert len((tmp_path / 'a.log').read_text().splitlines()) == 5


class _Clock:
    """Seconds that a test sets."""

    now = 0.0

    def monotonic(self):
        return self.now


def test_long_epochs_are_told_of_first_after_half_a_minute_then_by_hundredths(monkeypatch):
    clock = _Clock()
    monkeypatch.setattr(hook_room, 'time', clock)
    pace, told = hook_room._Pace(0, 10_000), []
    for done in range(1, 10_001):  # two seconds each: a hundredth takes 200
        clock.now = 2.0 * done
        if pace.is_due(done):
            told.append((done, pace.left(done)))
            pace.tell(done)
    assert told[0] == (15, '5 h 33 min left')
    assert [done for done, _ in told[1:4]] == [115, 215, 315]
    assert len(told) == 100
    assert hook_room._Pace(3, 3).left(3) == ''


def test_confusion_leaves_out_what_is_no_single_choice():
    def sample(label, *scores):
        return types.SimpleNamespace(gt_label=torch.tensor(label), pred_score=torch.tensor(scores))

    counts = ConfusionCounts()
    counts.add([sample([1], 0.2, 0.8), sample([0], 0.1, 0.9)])
    counts.add([sample([0], 0.7, 0.3), sample([0], 0.7, 0.3)])
    assert counts.matrix(3).tolist() == [[1, 1], [0, 1]]  # the fourth is a duplicate that fills up the processes
    counts.add([sample([0, 1], 0.2, 0.8)])
    assert counts.matrix(1) is None
    counts.add([sample([1], *[0.1] * 61)])
    assert counts.matrix(1) is None
    counts.add(None)
    assert counts.matrix(0) is None
    tagged = sample([1], 0.2, 0.8)
    tagged.dataset_name = 'a'  # where another dataset's label 1 is another class
    counts.add([tagged])
    assert counts.matrix(1) is None


def hub_of(**scalars):
    hub = MessageHub(f'hub {time.time_ns()}')
    for name, value in scalars.items():
        hub.update_scalar(f'train/{name}', value)
    return hub


def test_the_accuracy_of_one_dataset_does_not_stand_for_several():
    assert measures.accuracy_name(hub_of(top1_acc=0.5, top5_acc=1.0)) == 'train/top1_acc'
    assert measures.accuracy_name(hub_of(**{'a/top1_acc': 0.5, 'b/top1_acc': 0.2})) is None
    assert measures.accuracy_name(hub_of(loss=1.0)) is None


def test_of_equal_validations_the_trained_one_is_the_best():
    at = [measures.Validation(0, 0, 0.5), measures.Validation(1, 6, 0.5), measures.Validation(2, 12, 0.5)]
    assert measures.Indicator('acc/top1').best(at) == at[1]
    assert measures.Indicator('loss', less=True).best([*at[:2], measures.Validation(2, 12, 0.4)]).epoch == 2


def test_the_parts_of_a_loss_are_told_beside_their_sum():
    """Of classification and captions (iCLIP): whether both are learned is not seen in their sum."""

    def told(parts=True, **scalars):
        return measures.training_words(types.SimpleNamespace(message_hub=hub_of(**scalars)), 1, parts)

    both = dict(loss_cls=2.0, loss_con=1.0, loss=3.0, top1_acc=0.5, match_acc=0.25)
    assert told(**both) == 'loss: 3.0000  loss_cls: 2.0000  loss_con: 1.0000  top1_acc: 0.5000'
    assert told(parts=False, **both) == 'loss: 3.0000  top1_acc: 0.5000'  # beside a bar there is little room
    assert told(loss_cls=2.0, loss=2.0) == 'loss: 2.0000'
    assert told(**{f'{name}/loss_cls': 1.0 for name in 'abcd'}, loss=4.0) == 'loss: 4.0000'
