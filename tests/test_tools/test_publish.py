"""``publish_model.py`` and ``cross_dataset_pairs.py`` on a trained model of several datasets."""

import json
import re
import sys

import numpy as np
import pytest
import torch
from mmengine.runner.checkpoint import load_checkpoint, load_state_dict
from multi_dataset_ranks import NAMES, build, inputs_of, sample_of, train
from PIL import Image
from scripts import load_script

from textxfer_mm.analysis.cross_dataset_pairs import largest_pairs
from textxfer_mm.engine import launch
from textxfer_mm.engine.checkpoint import load_checkpoint_file, load_fully
from textxfer_mm.engine.publishing import publish
from textxfer_mm.errors import UserError


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a tool in this process; return the exit status and what it wrote on stdout and stderr."""

    def run(name, *argv):
        monkeypatch.setattr(sys, 'argv', [f'{name}.py', *map(str, argv)])
        status = launch.run_tool(load_script(f'tools/{name}.py').main)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """The checkpoints of two heads after three steps, as MMEngine's runner saves them, and the models."""
    folder, models = tmp_path_factory.mktemp('trained'), {}
    for name in ('mlp', 'text'):
        model = models[name] = build(name)
        train(model, range(8))
        meta = dict(epoch=1, cfg='model = dict()')
        content = dict(state_dict=model.state_dict(), meta=meta, optimizer=dict(state={}), message_hub=dict())
        torch.save(content, folder / f'{name}.pth')
    return folder, models


@pytest.mark.parametrize('name', ['mlp', 'text'])
def test_a_published_file_loads_as_the_whole_one_does(run, trained, tmp_path, name, caplog, capsys):
    folder, models = trained
    status, out, err = run('deployment/publish_model', folder / f'{name}.pth', tmp_path / 'small.pth')
    assert status == 0, err
    (file,) = tmp_path.iterdir()
    assert re.fullmatch(r'small-[0-9a-f]{8}\.pth', file.name)
    assert str(file) in out
    assert 'left out, as only training needs them: cls_head.training_only.' in out
    content = load_checkpoint_file(file)
    assert set(content) == {'state_dict', 'meta'}
    whole = load_checkpoint_file(folder / f'{name}.pth')['state_dict']
    left_out = {key for key in whole if 'training_only' in key}
    assert left_out == set(whole) - set(content['state_dict'])
    assert publish(folder / f'{name}.pth', tmp_path / 'small.pth').path == file  # the same once more

    model = build(name)
    with caplog.at_level('INFO'):
        load_checkpoint(model, str(file), map_location='cpu')
    printed = caplog.text + ''.join(capsys.readouterr())
    assert 'missing keys' not in printed
    assert 'The checkpoint holds no' in caplog.text
    load_fully(model, content['state_dict'], file)
    load_state_dict(model, dict(content['state_dict']), strict=True)
    samples = [[sample_of(0), sample_of(5)] for _ in range(2)]
    scores = [
        [sample.pred_score for sample in each.eval()(inputs_of(0)[[0, 5]], data, mode='predict')]
        for each, data in zip((model, models[name]), samples, strict=True)
    ]
    for ours, theirs in zip(*scores, strict=True):
        assert torch.equal(ours, theirs)


def test_half_of_what_training_needs_is_no_whole_checkpoint(trained):
    _, models = trained
    state = models['mlp'].state_dict()
    key = next(key for key in state if 'training_only.expander' in key)
    state.pop(key)
    with pytest.raises(UserError, match='missing keys'):
        load_fully(build('mlp'), state, 'half.pth')


def test_a_dataset_may_be_called_as_the_parts_of_training(tmp_path):
    names = {name: dict(num_classes=2) for name in ('training_only', 'cls_head')}
    model = build('mlp', datasets=names)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'a.pth')
    done = publish(tmp_path / 'a.pth', tmp_path / 'b.pth')
    assert all(key.startswith('cls_head.training_only.') for key in done.left_out)
    load_fully(build('mlp', datasets=names), load_checkpoint_file(done.path)['state_dict'], done.path)


def test_weights_that_are_not_finite_are_not_published(run, tmp_path):
    torch.save(dict(state_dict=dict(weight=torch.tensor([float('nan')]))), tmp_path / 'a.pth')
    status, _, err = run('deployment/publish_model', tmp_path / 'a.pth', tmp_path / 'b.pth')
    assert status == 2
    assert err.count('\n') == 1
    assert [path.name for path in tmp_path.iterdir()] == ['a.pth']


# Pairs of classes


@pytest.fixture
def names(tmp_path):
    """The class names of the datasets in files."""
    files = {name: tmp_path / f'{place}.txt' for place, name in enumerate(NAMES)}
    for name, file in files.items():
        file.write_text('\n'.join(NAMES[name]))
    return [f'{name}={file}' for name, file in files.items()]


def test_the_largest_weights_of_each_ordered_pair(run, trained, names, tmp_path):
    folder, models = trained
    out = tmp_path / 'maps.png'
    options = ['--num', 4, '--class-names', *names, '--json', tmp_path / 'p.json', '--markdown', tmp_path / 'p.md']
    status, printed, err = run('analysis_tools/cross_dataset_pairs', folder / 'mlp.pth', out, *options)
    assert status == 0, err
    assert printed == (tmp_path / 'p.md').read_text()
    assert np.asarray(Image.open(out).convert('L')).std() > 5
    found = json.loads((tmp_path / 'p.json').read_text())
    assert [(entry['source'], entry['target']) for entry in found] == [(a, d) for a in NAMES for d in NAMES if a != d]
    maps = models['mlp'].cls_head.training_only['projections'].maps
    for entry in found:
        weight = maps[entry['source']][entry['target']].weight.detach()
        best = sorted(
            (
                (weight[row, column].item(), row, column)
                for row in range(len(weight))
                for column in range(weight.shape[1])
            ),
            reverse=True,
        )[:4]
        assert [(p['weight'], p['target_label'], p['source_label']) for p in entry['pairs']] == best
        for pair in entry['pairs']:
            assert pair['source_class'] == NAMES[entry['source']][pair['source_label']]
            assert pair['target_class'] == NAMES[entry['target']][pair['target_label']]
    first = found[0]['pairs'][0]
    row = f'| a.1 | keys | {first["source_class"]} | {first["target_class"]} | {first["weight"]:.4f} |'
    assert row in printed
    assert printed.count('\n') == 2 + 6 * 4


def test_pairs_are_the_largest_of_the_matrix_signed_and_not_one_a_row():
    matrix = torch.tensor([[0.1, 0.9, 0.8], [-2.0, 0.2, 0.9]])
    found = largest_pairs(matrix, ['x', 'y', 'z'], ['p', 'q'], 3)
    assert [(pair.source_class, pair.target_class) for pair in found] == [('y', 'p'), ('z', 'q'), ('z', 'p')]
    assert len(largest_pairs(matrix, ['x', 'y', 'z'], ['p', 'q'], 50)) == 6


def test_class_names_of_the_config_inside(run, trained, tmp_path):
    _, models = trained
    datasets = {name: dict(class_names=listed) for name, listed in NAMES.items()}
    text = f'model = dict(cls_head=dict(type="MultiDatasetHead", in_channels=32, datasets={datasets!r}))'
    torch.save(dict(state_dict=models['mlp'].state_dict(), meta=dict(cfg=text)), tmp_path / 'own.pth')
    status, printed, err = run('analysis_tools/cross_dataset_pairs', tmp_path / 'own.pth', tmp_path / 'a.png')
    assert status == 0, err
    assert printed.count('\n') == 2 + 6 * 5


@pytest.mark.parametrize(
    ('checkpoint', 'words', 'message'),
    [
        ('text.pth', [], 'holds no projections between datasets: give a checkpoint that MultiDatasetHead'),
        ('mlp.pth', [], "The class names of 'a.1' (4 classes) are not known: --class-names a.1=FILE"),
        ('mlp.pth', ['--class-names', 'a.2=ucf101'], "given for 'a.2', which has no projections. Did you mean: a.1"),
        ('mlp.pth', ['--class-names', 'a.1=ucf101'], "ucf101 has 101 class names, but 'a.1' has 4 classes"),
        ('mlp.pth', ['--class-names', 'ucf101'], "takes DATASET=NAMES, such as k400=kinetics400, got 'ucf101'"),
        ('mlp.pth', ['--num', '0'], '--num is a number of pairs from 1, got 0'),
    ],
)
def test_what_cannot_be_listed(run, trained, tmp_path, checkpoint, words, message):
    status, _, err = run('analysis_tools/cross_dataset_pairs', trained[0] / checkpoint, tmp_path / 'a.png', *words)
    assert status == 2
    assert message in err
    assert err.count('\n') == 1
    assert not list(tmp_path.iterdir())
