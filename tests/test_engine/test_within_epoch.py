"""A run that is killed within an epoch and goes on: the same samples in the same order, the same rates and draws."""

import json
import socket

import pytest
import torch
import torch.multiprocessing as mp
from multi_dataset_runs import RATIOS, Killed, KillHook, evaluate, lines, several, train, worker
from torch.utils.data import RandomSampler

EPOCHS = dict(by_epoch=True, max_epochs=3)
ITERATIONS = dict(by_epoch=False, max_iters=24)
#: Of the 34 samples, 8 batches of 4 an epoch: killed after 13 iterations, 5 of the second epoch.
KILLED, SAVED = 13, 12


def killed(folder, **options):
    """What was seen before and after the kill, in place of what was lost; and how many samples were asked for then."""
    folder.mkdir()
    with pytest.raises(Killed):
        train(folder / 'run', folder / 'before', kill=KillHook(KILLED), **options)
    checkpoint = folder / 'run' / f'iter_{SAVED}.pth'
    asked = train(folder / 'run', folder / 'after', resume=checkpoint, **options)
    return lines(folder / 'before')[:SAVED] + lines(folder / 'after'), asked


def whole(folder, **options):
    train(folder / 'whole', folder / 'all', **options)
    return lines(folder / 'all')


@pytest.mark.parametrize('loader', [{}, RATIOS], ids=['proportional', 'ratios'])
def test_nothing_of_what_is_done_is_decoded_again(tmp_path, loader):
    seen, asked = killed(tmp_path / 'cut', **loader)
    expected = whole(tmp_path, **loader)
    assert seen == expected  # datasets, indices, rates, noise in the samples and in the model
    assert asked == 4 * (len(expected) - SAVED)


def test_with_a_data_worker(tmp_path):
    """It seeds each batch by itself, so that skipping changes nothing."""
    seen, _ = killed(tmp_path / 'cut', workers=1)
    assert seen == whole(tmp_path, workers=2)


def test_iterations_without_epochs(tmp_path, monkeypatch):
    monkeypatch.setattr('mmengine.runner.loops.time.sleep', lambda _: None)
    seen, asked = killed(tmp_path / 'cut', loop=ITERATIONS)
    expected = whole(tmp_path, loop=ITERATIONS)
    keys = ('seen', 'rate')
    assert [[line[key] for key in keys] for line in seen] == [[line[key] for key in keys] for line in expected]
    assert asked == 4 * (24 - SAVED)


def test_a_checkpoint_at_the_end_of_an_epoch_and_of_a_whole_number_of_iterations(tmp_path):
    """24 iterations are 3 epochs; the checkpoint of iteration 24 was saved before the last epoch was over."""
    expected = whole(tmp_path, loop=dict(by_epoch=True, max_epochs=4))
    loop = dict(by_epoch=True, max_epochs=4)
    with pytest.raises(Killed):
        train(tmp_path / 'run', tmp_path / 'before', kill=KillHook(24), loop=loop)
    meta = torch.load(tmp_path / 'run' / 'iter_24.pth', weights_only=False)['meta']
    assert (meta['epoch'], meta['within_epoch']['done'], meta['within_epoch']['length']) == (2, 8, 8)
    train(tmp_path / 'run', tmp_path / 'after', resume=tmp_path / 'run' / 'iter_24.pth', loop=loop)
    assert lines(tmp_path / 'after') == expected[24:]


def test_the_seed_of_the_sampler_comes_along(tmp_path):
    """A run without a fixed seed draws one, and one that goes on draws another."""
    sampler = dict(type='DefaultSampler', shuffle=True)
    with pytest.raises(Killed):
        train(tmp_path / 'run', tmp_path / 'before', kill=KillHook(KILLED), sampler=dict(sampler, seed=5))
    other = dict(sampler, seed=6)
    train(tmp_path / 'run', tmp_path / 'after', resume=tmp_path / 'run' / 'iter_12.pth', sampler=other)
    train(tmp_path / 'whole', tmp_path / 'all', sampler=dict(sampler, seed=5))
    before, after, expected = (lines(tmp_path / name) for name in ('before', 'after', 'all'))
    assert [line['seen'] for line in before[:SAVED] + after] == [line['seen'] for line in expected]


def test_a_sampler_that_draws_from_the_global_generator(tmp_path):
    """PyTorch's own: what it draws must come from the beginning of the epoch, not from where the run was stopped."""

    def loader():
        dataset = several(a=dict(length=32))
        return dict(dataset=dataset, sampler=RandomSampler(dataset))

    folder = tmp_path / 'cut'
    folder.mkdir()
    with pytest.raises(Killed):
        train(folder / 'run', folder / 'before', kill=KillHook(KILLED), **loader())
    train(folder / 'run', folder / 'after', resume=folder / 'run' / 'iter_12.pth', **loader())
    assert lines(folder / 'before')[:SAVED] + lines(folder / 'after') == whole(tmp_path, **loader())


@pytest.fixture(scope='module')
def two(tmp_path_factory):
    """What two gloo ranks saw that were killed, and that went on."""
    folder = tmp_path_factory.mktemp('two')
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    mp.spawn(worker, args=(port, str(folder)), nprocs=2)
    return folder


@pytest.mark.parametrize('rank', [0, 1])
def test_two_ranks_that_were_killed(two, rank):
    """60 samples are 7 batches of 4 a rank; killed after 11 iterations, saved after 9."""
    before, after, expected = (lines(two / f'{name}{rank}') for name in ('cut', 'on', 'whole'))
    assert len(expected) == 21
    keys = ('seen', 'rate')
    got = [[line[key] for key in keys] for line in before[:9] + after]
    assert got == [[line[key] for key in keys] for line in expected]
    for line in expected:
        assert [name for name, _ in line['seen']].count('a') == 2


def test_two_ranks_share_an_epoch(two):
    ours, theirs = (lines(two / f'whole{rank}') for rank in (0, 1))
    large = [tuple(one) for part in (ours, theirs) for line in part[:7] for one in line['seen'] if one[0] == 'a']
    assert len(large) == 28  # of 25, so that three begin anew
    assert len(set(large)) == 25


def test_two_ranks_score_as_one(two):
    """15 samples on two ranks: the sixteenth is a repetition that must not count."""
    assert json.loads((two / 'numbers.json').read_text()) == evaluate()
