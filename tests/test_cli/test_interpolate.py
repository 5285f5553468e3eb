"""``textxfer interpolate`` as a user has it: one model, a sweep, and mistakes that cost one line."""

import json

import pytest
import torch
from interpolated import SEEN, fine_tune, recognizer_config, state
from PIL import Image
from tiny import TINY_RESNET
from tiny_runs import write_dataset
from typer.testing import CliRunner

from textxfer_mm.apis import interpolate
from textxfer_mm.cli.main import app


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A ResNet of which is a checkpoint, and a list of new classes."""
    folder = tmp_path_factory.mktemp('models')
    cfg = recognizer_config(folder, TINY_RESNET)
    fine_tune(cfg, folder / 'tuned.pth')
    write_dataset(folder / 'unseen', good=3)
    (folder / 'unseen.txt').write_text('grey\nblue\n')
    return folder


@pytest.fixture(autouse=True)
def inside(folder, monkeypatch):
    monkeypatch.setenv('TEXTXFER_CACHE', str(folder / 'cache'))
    monkeypatch.chdir(folder)


def run(*words):
    result = CliRunner().invoke(app, ['interpolate', *map(str, words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_one_model(tmp_path):
    out = tmp_path / 'new' / 'half.pth'
    result = run('pretrained', 'tuned.pth', '--alpha', 0.5, '-o', out, '--device', 'cpu')
    assert result.exit_code == 0, result.output
    assert f'Wrote {out}: alpha 0.5, from pretrained to tuned.pth' in result.output
    assert 'init_weights' not in result.output
    want = interpolate('pretrained', 'tuned.pth', 0.5)['state_dict']
    assert all(torch.equal(value, want[name]) for name, value in state(out).items())
    predicted = CliRunner().invoke(app, ['predict', 'videos/good0.mp4', '--checkpoint', str(out)])
    assert predicted.exit_code == 0, predicted.output
    assert all(name in predicted.output for name in SEEN)


@pytest.mark.parametrize('videos', ['train', 'unseen/list.txt'])
def test_batch_norm(videos, tmp_path):
    run('pretrained', 'tuned.pth', '--alpha', 0.5, '-o', tmp_path / 'a.pth', '--device', 'cpu', '--batch-norm', videos)
    plain, found = interpolate('pretrained', 'tuned.pth', 0.5)['state_dict'], state(tmp_path / 'a.pth')
    changed = {name.split('.')[-1] for name in plain if not torch.equal(plain[name], found[name])}
    assert changed == {'running_mean', 'running_var', 'num_batches_tracked'}


def test_a_sweep(tmp_path):
    out, plot = tmp_path / 'sweep.json', tmp_path / 'sweep.png'
    words = ['--sweep', '--alphas', '0,1', '--unseen', 'unseen/list.txt', '--unseen-labels', 'unseen.txt']
    result = run('pretrained', 'tuned.pth', *words, '--device', 'cpu', '--json', out, '--plot', plot, '--views', 'test')
    assert result.exit_code == 0, result.output
    found = json.loads(out.read_text())
    assert [point['alpha'] for point in found['points']] == [0, 1]
    assert (found['seen_names'], found['unseen_names']) == (list(SEEN), ['grey', 'blue'])
    assert (found['videos'], found['views'], found['fine_tuned']) == ([4, 3], 'test', 'tuned.pth')
    for point in found['points']:
        assert f'{100 * point["unseen"]:.1f}' in result.output
    assert Image.open(plot).size[0] > 500


SWEEP = ('--sweep', '--unseen', 'unseen/list.txt', '--unseen-labels', 'unseen.txt')
WRITE = ('--alpha', 0.5, '-o', 'a.pth')
MISTAKES = {
    'neither': ((), 'Give --alpha with --out to write one model, or --sweep to evaluate several'),
    'both': (('--alpha', 0.5, '--sweep'), 'Give --alpha with --out'),
    'no_out': (('--alpha', 0.5), 'Say where to write the model: --out FILE'),
    'over_itself': (('--alpha', 0.5, '-o', './tuned.pth'), '--out tuned.pth is one of the two checkpoints'),
    'out_of_a_sweep': (('--sweep', '-o', 'a.pth'), '--sweep writes no model'),
    'no_classes': (('--sweep', '--unseen', 'unseen/list.txt'), '--sweep needs classes that are new to the model'),
    'of_a_sweep': ((*WRITE, '--unseen-labels', 'a'), '--unseen-labels is an option of --sweep'),
    'alphas': ((*SWEEP, '--alphas', '0,2'), '--alphas 0,2: give numbers from 0 to 1'),
    'words': ((*SWEEP, '--alphas', '0 to 1'), '--alphas 0 to 1: give numbers'),
    'views': ((*SWEEP, '--views', 'train'), '--views train: the views are those of the val or'),
    'list': ((*SWEEP, '--seen', 'unseen/lst.txt'), 'unseen/lst.txt does not exist. Did you mean: list.txt'),
    'root': ((*SWEEP, '--data-root', 'videos/..'), '3 of 3 videos of --unseen unseen/list.txt are missing: '),
    'json': ((*SWEEP, '--json', 'sweep.csv'), '--json sweep.csv: give a name that ends in .json.'),
    'png': ((*SWEEP, '--plot', 'sweep.jpg'), 'figures are PNG files'),
    'training': ((*WRITE, '--batch-norm', 'nothing.txt'), 'list --batch-norm nothing.txt does not exist'),
}


@pytest.mark.parametrize('mistake', MISTAKES)
def test_mistakes_cost_one_line(mistake, folder):
    words, message = MISTAKES[mistake]
    before = sorted(path.name for path in folder.iterdir() if path.name != 'cache')
    result = run('pretrained', 'tuned.pth', *words)
    assert result.exit_code == 2
    assert message in result.output
    assert result.output.strip().count('\n') == 0
    assert sorted(path.name for path in folder.iterdir() if path.name != 'cache') == before


def test_files_that_are_not_there():
    found = run('pretrained', 'tund.pth', *WRITE)
    assert 'checkpoint tund.pth does not exist. Did you mean: tuned.pth?' in found.output
    assert 'is a URL; download the checkpoint first' in run('https://a.org/b.pth', 'tuned.pth', *WRITE).output
    assert run('pretrained', 'tuned.pth', '--alpha', 1.5, '-o', 'a.pth').exit_code == 2
