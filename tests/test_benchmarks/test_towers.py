"""Towers of the harness, trained indeed: stopped anywhere, changed, elsewhere, and the rows that start from them."""

import copy
import json
import random
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from safetensors.torch import load_file, save_file

sys.path.insert(0, str(Path(__file__).parent))

import tiny_towers as tiny
import tiny_towers_parts as parts
from harness.command import run_command
from harness.curves import Curve
from harness.towers import TOWER, WEIGHTS, Tower, ensure, fill, thinned, weights_digest
from harness.training import Setting, train_and_measure

from textxfer_mm.apis import score_videos
from textxfer_mm.errors import UserError


@pytest.fixture
def told():
    """Lines that were said."""
    return []


def die_after(folder, monkeypatch, steps, rank):
    """Let the next training be killed there."""
    (folder / 'die').write_text(f'{steps} {rank}')
    monkeypatch.setenv(parts.DIE, str(folder / 'die'))


@pytest.fixture(scope='module')
def unbroken(tmp_path_factory):
    """A tower of two processes, trained in one go: its folder and its result."""
    root = tmp_path_factory.mktemp('unbroken')
    tower = replace(tiny.towers(None)[0], ranks=2)
    return tower, tower.folder(root), ensure(tower, root, lambda line: None)


def test_what_a_tower_leaves(unbroken):
    _, folder, result = unbroken
    assert json.loads((folder / 'result.json').read_text()) == result
    assert result['samples'] == 4 * 18
    assert [step for step, _ in result['loss_curve']] == list(range(1, 13))  # three steps of 2 x 3 an epoch
    assert [samples for samples, _ in result['validations']] == [0, 36, 72]  # the first is before training
    shares = [measures['acc/top1'] * 9 for _, measures in result['validations']]
    assert shares == pytest.approx([round(share) for share in shares])  # of all nine videos, not of one process's five
    assert 0 < result['seconds'] < 600
    assert 0 < result['cpu_seconds'] < 600
    assert [file.name for file in folder.glob('*.pth')] == ['epoch_4.pth']
    (scalars,) = folder.glob('*/vis_data/scalars.json')
    validated = [line for line in map(json.loads, scalars.read_text().splitlines()) if 'acc/top1' in line]
    assert [line['step'] for line in validated] == [0, 2, 4]


def test_a_tower_that_was_killed_twice_ends_as_one_that_was_not(unbroken, tmp_path, monkeypatch, told):
    tower, folder, whole = unbroken
    for steps, rank in ((2, 0), (8, 1)):
        die_after(tmp_path, monkeypatch, steps, rank)
        with pytest.raises(UserError, match=r"the tower 'plain' was not trained to its end \(.*SIGKILL.*train\.log"):
            ensure(tower, tmp_path, told.append)
    assert not (tower.folder(tmp_path) / 'result.json').exists()
    result = ensure(tower, tmp_path, told.append)
    begun = [line.split(',')[0] for line in told[:3]]
    assert begun == [f'tower plain: training {where}' for where in ('begins', 'begins', 'goes on after 6 steps')]
    timed = ('seconds', 'cpu_seconds')
    assert {k: v for k, v in result.items() if k not in timed} == {k: v for k, v in whole.items() if k not in timed}
    again, first = (load_file(path / WEIGHTS) for path in (tower.folder(tmp_path), folder))
    assert all((again[name] == first[name]).all() for name in first)
    assert len(list(tower.folder(tmp_path).glob('*.pth'))) == 1


def test_a_tower_that_was_stopped_after_its_last_step_is_finished(unbroken, tmp_path, monkeypatch, told):
    """Killed between training and its result, of which the weights are a part."""
    tower, folder, whole = unbroken
    copy = tower.folder(tmp_path)
    copy.mkdir(parents=True)
    for name in ('epoch_4.pth', 'last_validation', 'validations.json'):
        (copy / name).write_bytes((folder / name).read_bytes())
    result = ensure(tower, tmp_path, told.append)
    assert 'goes on after 12 steps' in told[0]
    for name in ('sha256', 'validations', 'loss_curve', 'samples'):
        assert result[name] == whole[name]
    assert ensure(tower, tmp_path, told.append) == result
    assert len(told) == 2  # nothing was done the second time


def test_the_digest_is_of_the_weights_and_of_nothing_else(tmp_path):
    state = dict(b=torch.arange(3.0), a=torch.tensor(2), c=torch.tensor([[True], [False]]))
    for name, meta in (('x', dict(time='early')), ('y', dict(time='late'))):
        torch.save(dict(state_dict=state, meta=meta), tmp_path / f'{name}.pth')
    save_file(dict(reversed(state.items())), tmp_path / 'z.safetensors')
    digests = {weights_digest(tmp_path / name) for name in ('x.pth', 'y.pth', 'z.safetensors')}
    assert len(digests) == 1
    for changed in (dict(a=torch.tensor(3)), dict(b=torch.arange(3)), dict(c=torch.tensor([[True, False]]))):
        save_file({**state, **changed}, tmp_path / 'other.safetensors')
        digests.add(weights_digest(tmp_path / 'other.safetensors'))
    assert len(digests) == 4


def test_a_key_is_of_the_whole_pre_training():
    plain = tiny.towers(None)[0]

    def edit(cfg):
        cfg.val_evaluator.metric_options = dict(top_k_accuracy=dict(topk=(1,)))

    others = [replace(plain, edit=edit), replace(plain, seed=1), replace(plain, ranks=2), replace(plain, version=2)]
    assert len({plain.run.key, *(other.run.key for other in others)}) == 5
    assert replace(plain, name='other').run.key == plain.run.key
    assert plain.folder(Path('a')) != others[0].folder(Path('a'))


def test_the_key_of_a_row_holds_that_of_its_tower_and_a_scale_changes_no_tower():
    work = tiny.EXPERIMENT
    other = replace(work, towers=lambda scale: [Tower('plain', tiny.CONFIG, tiny.nothing, seed=7)])
    assert work.run('started', 0).key != other.run('started', 0).key
    assert work.run('scratch', 0).key == other.run('scratch', 0).key
    scaled = replace(work, scale=tiny.Scale(lr=1.0))
    assert scaled.run('started', 0).key != work.run('started', 0).key
    assert scaled.run('tower-plain', 0).key == work.run('tower-plain', 0).key


@pytest.mark.parametrize('setting', [Setting('x', tiny.from_tower), Setting('x', tiny.nothing, tower='plain')])
def test_a_row_that_forgets_its_tower_or_its_place_is_refused(setting):
    with pytest.raises(ValueError, match=r"the row 'x' starts from the tower '(plain)?': its config must hold <tower>"):
        replace(tiny.EXPERIMENT, settings=dict(x=setting)).run('x', 0)


def test_runs_are_towers_and_then_whole_seeds():
    runs = [f'{run}' for run in tiny.EXPERIMENT.runs((3, 4))]
    rows = ['scratch, seed 3', 'started, seed 3', 'few, seed 3', 'scratch, seed 4', 'started, seed 4']
    assert runs == ['tower-plain, seed 0', 'tower-unused, seed 1', *rows]


def test_the_folder_is_filled_in_everywhere():
    cfg = Config(dict(a=[f'{TOWER}/x', (1, f'{TOWER}/y')], b=dict(c=None, d=f'{TOWER}{TOWER}')))
    assert fill(cfg.to_dict(), Path('/t')) == dict(a=['/t/x', (1, '/t/y')], b=dict(c=None, d='/t/t'))


def test_curves_are_thinned_to_means():
    assert thinned([]) == []
    assert thinned([1.0, 2.0, 3.0], points=3) == [[1, 1.0], [2, 2.0], [3, 3.0]]
    assert thinned([1.0, 2.0, 3.0, 5.0, 9.0], points=3) == [[2, 1.5], [4, 4.0], [5, 9.0]]
    assert len(thinned([0.0] * 1999)) == 200


def test_a_config_that_saves_nothing_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr('harness.towers.on_ranks', lambda *args, **kwargs: dict(seconds=1.0))
    with pytest.raises(UserError, match=r"the tower 'plain' left no .*safetensors: its config needs the hook"):
        ensure(tiny.towers(None)[0], tmp_path, lambda line: None)


def test_two_commands_train_a_tower_once(tmp_path, monkeypatch, told):
    tower, begun, ends = tiny.towers(None)[0], threading.Event(), threading.Event()

    def train(tower, folder, say):
        begun.set()
        assert ends.wait(60)
        (folder / WEIGHTS).parent.mkdir()
        save_file(dict(a=torch.zeros(1)), folder / WEIGHTS)
        return dict(seconds=len(told))

    def say(line):
        told.append(line)
        if 'waiting' in line:
            ends.set()

    monkeypatch.setattr('harness.towers._train', train)
    first = threading.Thread(target=ensure, args=(tower, tmp_path, say))
    first.start()
    assert begun.wait(60)
    ensure(tower, tmp_path, say)
    first.join()
    assert told == [
        'tower plain: waiting for another command, which trains it',
        'tower plain: done, 1 s of training in all',
    ]


@pytest.fixture
def command(tmp_path, capsys):
    """Runs the command of the page with towers on a machine; returns its status and what it said."""

    def run(*argv, machine='a', page=tiny.PAGE):
        places = ['--folder', tmp_path / machine, '--results', tmp_path / 'r.jsonl', '--docs', tmp_path / 'docs']
        status = run_command(page, tiny.__file__, 'Towers.', [*map(str, places), '--jobs', '1', *argv])
        return status, capsys.readouterr().out.splitlines()

    return run


def test_rows_start_from_their_tower_and_another_machine_has_nothing_to_do(command, tmp_path):
    status, said = command('--only', 'started', 'scratch', '--seeds', '0')
    assert status == 0
    assert [line.split(',')[0] for line in said[:3]] == [
        'tower plain: training begins',
        'tower plain: done',
        '0 of 2 runs are done',
    ]
    assert [path.name for path in (tmp_path / 'a' / 'towers').iterdir()] == [
        tiny.EXPERIMENT._towers['plain'].folder(tmp_path).name
    ]
    tower = tiny.EXPERIMENT._towers['plain'].result(tmp_path / 'a')
    results = {one['row']: one for one in map(json.loads, (tmp_path / 'r.jsonl').read_text().splitlines())}
    assert results['started']['tower'] == tower['sha256']
    assert 'tower' not in results['scratch']
    assert results['started']['losses'][0] != results['scratch']['losses'][0]
    assert str(tmp_path) not in str(results)

    status, said = command('--only', 'tower-plain', '--seeds', '0')  # its numbers are a row, which is there
    assert said[0] == '0 of 1 runs are done, 1 to do'
    assert said[1].startswith('[1/1] tower-plain, seed 0: ')
    assert ': ,' not in said[1]
    row = json.loads((tmp_path / 'r.jsonl').read_text().splitlines()[-1])
    assert {name: row[name] for name in tower} == tower  # the time too is that of the training
    page = (tmp_path / 'docs' / 'tiny_towers.md').read_text()
    after = 100 * tower['validations'][-1][1]['acc/top1']
    assert f'| plain | - | 33.3 | {after:.1f} |' in page

    before = (tmp_path / 'r.jsonl').read_text()
    only = ('--only', 'started', 'scratch', 'tower-plain', '--seeds', '0')
    status, said = command(*only, machine='b')
    assert said[0] == '3 of 3 runs are done, 0 to do'
    assert not (tmp_path / 'b' / 'towers').exists()
    assert (tmp_path / 'r.jsonl').read_text() == before
    assert (tmp_path / 'docs' / 'tiny_towers.md').read_text() == page


def checksum(model, cfg):
    """All that was trained, in one number, and the modes of the modules."""
    return dict(
        sum=sum(value.double().abs().sum().item() for value in model.state_dict().values()),
        modes=[module.training for module in model.modules()],
    )


def test_a_curve_is_measured_and_changes_nothing(tmp_path):
    modes, seen = [], []

    def quick(model, cfg):
        modes.extend(module.training for module in model.modules())
        seen.append((random.random(), np.random.rand(), torch.rand(1).item()))
        return score_videos(model, cfg.val_dataloader).top(1)

    setting = Setting('curve', tiny.from_tower, curve=2)
    cfg = tiny.EXPERIMENT.config('scratch', 0)
    cfg.train_cfg.max_epochs, cfg.custom_hooks, cfg.model.backbone.frozen_stages = 3, [], 1
    results = []
    for name, curve in (('without', None), ('with', Curve(setting.curve, quick))):
        one = copy.deepcopy(cfg)
        one.work_dir = one.experiment_name = str(tmp_path / name)
        results.append(train_and_measure(one, checksum, curve))
    without, measured = results
    assert [step for step, _ in measured['curve']] == [0, 2, 4, 6, 8, 9]  # three steps an epoch
    assert all(9 * value == pytest.approx(round(9 * value), abs=1e-3) for _, value in measured['curve'])
    assert len(set(seen)) == 6  # draws go on from where training is
    assert not any(modes)
    assert 'curve' not in without
    for name in ('sum', 'modes', 'losses'):
        assert measured[name] == without[name]
    assert any(measured['modes'])


def test_a_curve_is_part_of_the_key_and_needs_one_process():
    settings = {name: Setting('x', tiny.nothing, curve=steps) for name, steps in (('x', 0), ('y', 1), ('z', 2))}
    work = replace(tiny.EXPERIMENT, settings=settings)
    assert len({work.run(row, 0).key for row in settings}) == 3
    assert work.run('x', 0).key == tiny.EXPERIMENT.run('scratch', 0).key
    with pytest.raises(ValueError, match="the row 'x' has 2 ranks: a curve is measured on one"):
        Setting('x', tiny.nothing, ranks=2, curve=1)
