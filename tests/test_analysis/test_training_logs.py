"""Curves out of MMEngine's logs: whole runs, resumed runs, broken values."""

import json
import math

import numpy as np
import pytest

from textxfer_mm.analysis.training_logs import read_training_curve
from textxfer_mm.errors import UserError


def write(folder, entries, *, stamp='20250101_000000', tail=''):
    log = folder / stamp / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text('\n'.join(json.dumps(entry) for entry in entries) + '\n' + tail)
    return log


def train(step, loss, *, size=10, **more):
    return {'lr': 0.1, 'loss': loss, 'epoch': (step - 1) // size + 1, 'iter': step, 'step': step, **more}


def val(epoch):
    return {'acc/top1': 0.5, 'loss': 99.0, 'step': epoch}


def test_a_run_with_validation(tmp_path):
    write(tmp_path, [train(5, 3.0), train(10, 2.0), val(1), train(15, 1.5), train(20, 1.0), val(2)])
    curve = read_training_curve(tmp_path)
    assert curve.iterations.tolist() == [5, 10, 15, 20]
    assert curve.values.tolist() == [3.0, 2.0, 1.5, 1.0]
    assert curve.epochs.tolist() == [0.5, 1.0, 1.5, 2.0]
    assert curve.name == tmp_path.name
    assert curve.bad_values() is None


def test_a_log_file_and_a_folder_of_one(tmp_path):
    log = write(tmp_path / 'my_run', [train(10, 2.0)])
    assert [read_training_curve(p).values.tolist() for p in (log, log.parent, log.parent.parent)] == [[2.0]] * 3
    assert read_training_curve(log).name == 'my_run'
    assert read_training_curve(log, name='ours').name == 'ours'


def test_a_resumed_run_replaces_what_it_repeats(tmp_path):
    write(tmp_path, [train(s, 100.0 + s) for s in (5, 10, 15, 20, 25)], stamp='20250101_000000')
    write(tmp_path, [train(s, float(s)) for s in (15, 20, 25, 30)], stamp='20250101_120000')
    write(tmp_path, [], stamp='20250102_000000')  # killed before it logged
    curve = read_training_curve(tmp_path)
    assert curve.iterations.tolist() == [5, 10, 15, 20, 25, 30]
    assert curve.values.tolist() == [105.0, 110.0, 15.0, 20.0, 25.0, 30.0]


def test_a_run_begun_anew_replaces_all(tmp_path):
    write(tmp_path, [train(5, 9.0), train(10, 9.0)], stamp='20250101_000000')
    write(tmp_path, [train(5, 1.0)], stamp='20250101_120000')
    assert read_training_curve(tmp_path).values.tolist() == [1.0]


def test_iterations_of_an_epoch_when_the_last_one_is_partial(tmp_path):
    write(tmp_path, [train(s, 1.0, size=8) for s in (5, 8, 13, 16, 17)])
    np.testing.assert_allclose(read_training_curve(tmp_path).epochs, np.array([5, 8, 13, 16, 17]) / 8)


def test_runs_that_count_iterations(tmp_path):
    write(tmp_path, [{'loss': 1.0, 'iter': 20, 'step': 20}])
    assert read_training_curve(tmp_path).epochs is None


def test_nan_and_infinity_are_kept_and_told(tmp_path):
    write(tmp_path, [train(5, 1.0), train(10, math.nan), train(15, math.inf), train(20, None), train(25, 2.0)])
    curve = read_training_curve(tmp_path)
    assert np.isnan(curve.values[1])
    assert np.isinf(curve.values[2])
    assert np.isnan(curve.values[3])  # as the tools write it
    assert curve.bad_values().endswith('3 of 5 values are NaN or infinite, the first at iteration 10.')


def test_a_line_that_was_cut_off(tmp_path):
    log = write(tmp_path, [train(5, 1.0), train(10, 2.0)], tail='{"loss": 3')
    assert read_training_curve(log).values.tolist() == [1.0, 2.0]
    log.write_text('{"loss": 3\n' + log.read_text())
    with pytest.raises(UserError, match='line 1, is no JSON'):
        read_training_curve(log)


def test_missing_keys_name_what_there_is(tmp_path):
    write(tmp_path, [train(5, 1.0, loss_cls=1.0, grad_norm=2.0)])
    assert read_training_curve(tmp_path, key='grad_norm').values.tolist() == [2.0]
    with pytest.raises(UserError, match=r"no 'loss_cl'. Did you mean: loss_cls"):
        read_training_curve(tmp_path, key='loss_cl')
    with pytest.raises(UserError, match=r"no 'zzz'. Known: grad_norm, loss, loss_cls, lr"):
        read_training_curve(tmp_path, key='zzz')


def test_folders_without_a_training(tmp_path):
    with pytest.raises(UserError, match='does not exist'):
        read_training_curve(tmp_path / 'nowhere')
    with pytest.raises(UserError, match='no work dir of a training run'):
        read_training_curve(tmp_path)
    write(tmp_path, [val(1)])
    with pytest.raises(UserError, match='holds no log of a training'):
        read_training_curve(tmp_path)
