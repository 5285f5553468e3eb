"""Runs over lists with files that cannot be decoded, through MMEngine's Runner and real data workers."""

import os

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import ConcatDataset, RepeatDataset
from mmengine.hooks import Hook
from mmengine.runner import Runner
from test_video import killer
from tiny_runs import CORRUPT_KINDS, run_config, write_dataset
from video_kinds import cut, encode, numbered_frames

import textxfer_mm.register  # noqa: F401
from textxfer_mm.datasets import corrupt_record
from textxfer_mm.engine.hooks.corrupt_video import CorruptVideoHook, count_videos
from textxfer_mm.errors import UserError


@pytest.fixture
def build(tmp_path):
    """Build a runner from a tiny config; leave no record folder behind."""

    def build(*args, train_only=True, iterations=None, persistent=False, name='', **kwargs):
        cfg = Config(run_config(*args, tmp_path / 'run', **kwargs))
        cfg.experiment_name = tmp_path.name + name
        for loader in (cfg.train_dataloader, cfg.test_dataloader):
            loader.persistent_workers = persistent
        if train_only:
            cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
        if iterations is not None:
            cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations)
            cfg.train_dataloader.sampler = dict(type='InfiniteSampler', shuffle=True)
        return Runner.from_cfg(cfg)

    yield build
    corrupt_record.close()


def log_of(runner):
    with open(f'{runner.log_dir}/{runner.timestamp}.log') as file:
        return file.read()


def listed(runner, phase):
    with open(f'{runner.log_dir}/corrupt_videos_{phase}.txt') as file:
        return [os.path.basename(line.split(': ')[0]) for line in file]


@pytest.mark.parametrize('workers', [0, 2])
def test_a_tenth_of_bad_files_is_skipped_and_named(tmp_path, build, workers):
    runner = build(
        write_dataset(tmp_path / 'videos', good=18, corrupt=['empty', 'truncated']), workers=workers, epochs=2
    )
    runner.train()
    log = log_of(runner)
    for epoch in (1, 2):
        assert f'2 of 20 training videos (10.0%) could not be decoded in epoch {epoch}' in log
    assert listed(runner, 'train') == ['empty0.mp4', 'truncated1.mp4']
    assert 'empty0.mp4: empty file' in log
    assert (tmp_path / 'run' / 'epoch_2.pth').is_file()
    assert corrupt_record.record('a.mp4', 'bad', test_mode=False) is None  # nobody is listening any more


def test_workers_of_an_iteration_based_loop_report_too(tmp_path, build):
    """That loop starts its workers before any hook runs."""
    ann_file = write_dataset(tmp_path / 'videos', good=9, corrupt=['text'])
    runner = build(ann_file, workers=2, iterations=12)
    runner.train()
    assert listed(runner, 'train') == ['text0.mp4']


def test_too_many_bad_files_end_training_with_one_message(tmp_path, build):
    runner = build(write_dataset(tmp_path / 'videos', good=6, corrupt=['empty', 'text', 'no_frames']), workers=2)
    with pytest.raises(UserError, match=r'of 9 training videos could not be decoded, more than max_share=0\.2'):
        runner.train()


def test_max_share_is_configurable(tmp_path, build):
    runner = build(write_dataset(tmp_path / 'videos', good=2, corrupt=['empty', 'text']), workers=0, max_share=0.5)
    runner.train()
    assert listed(runner, 'train') == ['empty0.mp4', 'text1.mp4']


@pytest.mark.parametrize('workers', [0, 1])
def test_nothing_but_bad_files_ends_with_the_message_too(tmp_path, build, workers):
    runner = build(write_dataset(tmp_path / 'videos', good=0, corrupt=['empty', 'text']), workers=workers)
    with pytest.raises(UserError, match=r'100 videos in a row could not be decoded, the last one .*\.mp4'):
        runner.train()


@pytest.mark.parametrize('workers', [0, 2])
def test_testing_lists_all_bad_files_and_fails_before_scoring(tmp_path, build, workers):
    ann_file = write_dataset(tmp_path / 'videos', good=5, corrupt=CORRUPT_KINDS)
    runner = build(ann_file, workers=workers)
    evaluated = []
    runner.test_loop.evaluator.evaluate = lambda size: evaluated.append(size)
    with pytest.raises(UserError, match=r'5 of 10 test videos could not be decoded, so nothing was scored') as caught:
        runner.test()
    names = sorted(f'{kind}{index}.mp4' for index, kind in enumerate(CORRUPT_KINDS))
    assert listed(runner, 'test') == names
    assert all(name in log_of(runner) for name in names)
    assert '(5 in all)' in str(caught.value)
    assert evaluated == []


def test_validation_fails_as_well(tmp_path, build):
    good = write_dataset(tmp_path / 'good', good=4)
    bad = write_dataset(tmp_path / 'bad', good=2, corrupt=['missing'])
    runner = build(good, test_ann_file=bad, workers=0, train_only=False)
    with pytest.raises(UserError, match=r'1 of 3 val videos .*missing0\.mp4 \(missing file\)'):
        runner.train()


def test_a_clean_list_is_scored_and_leaves_no_report(tmp_path, build):
    runner = build(write_dataset(tmp_path / 'videos', good=4), workers=0)
    assert 0 <= runner.test()['acc/top1'] <= 1
    assert not list((tmp_path / 'run').rglob('corrupt_videos_*'))


@pytest.mark.parametrize('workers', [0, 1])
def test_of_two_runners_each_sees_its_own_corrupt_videos(tmp_path, build, workers):
    first = build(write_dataset(tmp_path / 'first', good=3, corrupt=['empty']), workers=workers)
    second = build(write_dataset(tmp_path / 'second', good=3), workers=workers, name='second')
    with pytest.raises(UserError, match=r'1 of 4 test videos .*empty0\.mp4'):
        first.test()
    assert 'acc/top1' in second.test()
    with pytest.raises(UserError, match=r'1 of 4 test videos .*empty0\.mp4'):
        first.test()


@pytest.mark.parametrize(('iterations', 'test_first'), [(None, True), (6, False)])
def test_training_and_testing_in_one_process(tmp_path, build, iterations, test_first):
    """Persistent workers, which outlive the run, go on reporting."""
    train = write_dataset(tmp_path / 'train', good=5, corrupt=['text'])
    test = write_dataset(tmp_path / 'test', good=3, corrupt=['empty'])
    runner = build(train, test_ann_file=test, workers=1, iterations=iterations, persistent=True)
    if test_first:
        with pytest.raises(UserError, match='1 of 4 test videos'):
            runner.test()
    runner.train()
    assert listed(runner, 'train') == ['text0.mp4']
    for _ in range(2):
        with pytest.raises(UserError, match='1 of 4 test videos'):
            runner.test()


def test_outside_of_runs_no_corrupt_file_is_passed_over(tmp_path, build):
    runner = build(write_dataset(tmp_path / 'videos', good=1, corrupt=['empty']), workers=0)
    loader = Runner.build_dataloader(runner._test_dataloader)
    with pytest.raises(UserError, match=r'cannot decode .*empty0'):
        list(loader)
    with pytest.raises(UserError, match='1 of 2 test videos'):
        runner.test()
    with pytest.raises(UserError, match=r'cannot decode .*empty0'):
        list(loader)


def test_a_record_that_another_run_took_over_is_an_error(tmp_path, build):
    outer = build(write_dataset(tmp_path / 'outer', good=2), workers=0)
    inner = build(write_dataset(tmp_path / 'inner', good=2), workers=0, name='inner')

    class Nested(Hook):
        def before_test(self, runner):
            inner.test()

    outer.register_hook(Nested())
    with pytest.raises(RuntimeError, match='took over the record of corrupt videos'):
        outer.test()


def test_share_out_of_range():
    with pytest.raises(UserError, match='between 0 and 1, got 20'):
        CorruptVideoHook(max_share=20)


def test_repeated_videos_count_once():
    base = np.arange(6)
    repeated = RepeatDataset.__new__(RepeatDataset)
    repeated.dataset, repeated.times, repeated._ori_len, repeated._fully_initialized = base, 5, 6, True
    joined = ConcatDataset.__new__(ConcatDataset)
    joined.datasets = [repeated, np.arange(3)]
    assert len(repeated) == 30
    assert count_videos(joined) == 9


@pytest.mark.parametrize('workers', [0, 2])
def test_a_file_that_kills_its_decoder_costs_that_file(tmp_path, build, monkeypatch, workers):
    """The videos are sound; the process that decodes the clip that was cut dies of it, whoever asks."""
    monkeypatch.setattr('textxfer_mm.video.guard._read', killer.dies)
    ann_file = write_dataset(tmp_path / 'videos', good=5)
    whole = encode(tmp_path / 'whole.mp4', 'h264_mp4', numbered_frames(40))
    cut(whole, tmp_path / 'videos' / 'clip.mp4', 20, keep_lead=True)
    ann_file.write_text(ann_file.read_text() + 'clip.mp4 0\n')
    runner = build(ann_file, workers=workers, epochs=2)
    runner.train()
    assert listed(runner, 'train') == ['clip.mp4']
    assert 'clip.mp4: it kills its decoder (SIGABRT)' in log_of(runner)
    assert (tmp_path / 'run' / 'epoch_2.pth').is_file()
    with pytest.raises(UserError, match=r'1 of 6 test videos .*clip\.mp4 \(it kills its decoder'):
        runner.test()


@pytest.mark.parametrize('workers', [0, 2])
def test_videos_that_decord_would_misread_are_counted_once(tmp_path, build, workers):
    ann_file = write_dataset(tmp_path / 'videos', good=3)
    encode(tmp_path / 'videos' / 'b.avi', 'xvid_b_frames_avi', numbered_frames(40))
    encode(tmp_path / 'videos' / 'open.mp4', 'h264_open_groups_mp4', numbered_frames(40))
    ann_file.write_text(ann_file.read_text() + 'b.avi 0\nopen.mp4 1\n')
    runner = build(ann_file, workers=workers, epochs=3)
    runner.train()
    (line,) = [line for line in log_of(runner).splitlines() if 'are of kinds in which' in line]
    assert '2 of 5 training videos are of kinds in which decord gives other frames than asked for' in line
    assert '1 x open groups of pictures' in line
    runner.test()
    assert '2 of 5 test videos are of kinds' in log_of(runner)
