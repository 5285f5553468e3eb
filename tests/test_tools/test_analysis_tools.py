"""The analysis tools from the command line."""

import csv
import json
import sys

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image
from scripts import load_script

from textxfer_mm.classifiers.drawn import RandomClassifier
from textxfer_mm.engine import launch

NAMES = [f'action {i}' for i in range(30)]


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a tool in this process; return the exit status and what it wrote on stdout and stderr."""

    def run(name, *argv):
        monkeypatch.setattr(sys, 'argv', [f'{name}.py', *map(str, argv)])
        monkeypatch.setenv('COLUMNS', '160')
        status = launch.run_tool(load_script(f'tools/analysis_tools/{name}.py').main)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def bundle(tmp_path):
    return RandomClassifier(NAMES, 16).build().save(tmp_path / 'text.safetensors')


@pytest.fixture
def checkpoint(tmp_path):
    rows = torch.randn(30, 8, generator=torch.Generator().manual_seed(0))
    torch.save(dict(state_dict={'cls_head.fc_cls.weight': rows}), tmp_path / 'learned.pth')
    return tmp_path / 'learned.pth'


def test_class_correlation(run, tmp_path, bundle, checkpoint):
    status, out, _ = run(
        *('class_correlation', tmp_path / 'map.png', bundle, checkpoint, '--titles', 'text', 'learned'),
        *('--classes', 'action 3', '7', 'action 1', '--csv', tmp_path / 'csv'),
    )
    assert status == 0, out
    assert '3 classes, 2 map(s)' in out.replace('\n', '')
    assert np.asarray(Image.open(tmp_path / 'map.png')).std() > 5
    rows = list(csv.reader((tmp_path / 'csv' / 'learned.csv').open()))
    assert rows[0] == ['', 'action 3', 'action 7', 'action 1']
    weight = torch.load(checkpoint, weights_only=True)['state_dict']['cls_head.fc_cls.weight']
    cosine = torch.nn.functional.cosine_similarity(weight[3], weight[7], dim=0).item()
    assert float(rows[1][2]) == pytest.approx(cosine, abs=1e-5)


def test_class_correlation_draws_twenty_as_the_paper_does(run, tmp_path, bundle):
    assert '20 classes' in run('class_correlation', tmp_path / 'a.png', bundle)[1].replace('\n', '')
    (tmp_path / 'some.txt').write_text('action 1\naction 2\n')
    out = run('class_correlation', tmp_path / 'a.png', bundle, '--classes', tmp_path / 'some.txt')[1]
    assert '2 classes' in out.replace('\n', '')


@pytest.mark.parametrize(
    ('more', 'message'),
    [
        (['--classes', 'acton 3'], 'Did you mean: action 3'),
        (['--titles', 'a', 'b'], '1 sources need as many different titles, got a, b'),
        (['--csv', 'text.safetensors'], '--csv text.safetensors is no folder that can be written to'),
        (['--vmin', '2'], 'must be below the highest'),
        (['--class-names', 'no_such_dataset'], "Unknown dataset 'no_such_dataset'"),
    ],
)
def test_class_correlation_errors(run, tmp_path, bundle, more, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, err = run('class_correlation', tmp_path / 'a.png', bundle, *more)
    assert status == 2
    assert message in err
    assert not (tmp_path / 'a.png').exists()


def test_class_correlation_needs_a_png_and_titles_that_make_files(run, tmp_path, bundle, checkpoint):
    assert 'figures are PNG files' in run('class_correlation', tmp_path / 'a.pdf', bundle)[2]
    err = run('class_correlation', tmp_path / 'a.png', bundle, checkpoint, '--titles', 'a b', 'a/b')[2]
    assert '2 sources need as many different titles, got a b, a/b' in err


def test_class_correlation_of_a_nameless_checkpoint(run, tmp_path, checkpoint):
    status, _, err = run('class_correlation', tmp_path / 'a.png', checkpoint)
    assert status == 2
    assert 'holds 30 classes, but no names are known' in err


def write_run(folder, scale):
    log = folder / '20250101_000000' / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    entries = [dict(loss=scale / s, epoch=(s - 1) // 50 + 1, iter=s, step=s) for s in range(5, 105, 5)]
    log.write_text('\n'.join(map(json.dumps, [*entries, dict(loss=float('nan'), epoch=3, iter=105, step=105)])))
    return folder


@pytest.mark.parametrize('axis', ['iteration', 'epoch'])
def test_loss_curves(run, tmp_path, axis):
    runs = [write_run(tmp_path / 'ours', 2.0), write_run(tmp_path / 'vision_only', 5.0)]
    status, out, err = run('loss_curves', tmp_path / 'l.png', *runs, '--x', axis, '--names', 'ours', 'vision only')
    assert status == 0, err
    assert np.asarray(Image.open(tmp_path / 'l.png')).std() > 5
    assert 'vision only: 1 of 21 values are NaN or infinite, the first at iteration 105.' in out


def test_names_of_runs_are_shown_as_written(run, tmp_path):
    runs = [write_run(tmp_path / 'ours', 2.0), write_run(tmp_path / 'b', 5.0)]
    status, out, err = run('loss_curves', tmp_path / 'l.png', *runs, '--names', 'lr [1e-3]', '[/x] \x1b[31m')
    assert status == 0, err
    assert 'lr [1e-3]' in out
    assert r'[/x] \x1b[31m' in out
    assert '\x1b[31m' not in out


def test_loss_curves_errors(run, tmp_path):
    ours = write_run(tmp_path / 'ours', 2.0)
    for argv, message in (
        ([ours, ours], 'need different names, got ours, ours: give --names'),
        ([ours, '--names', 'a', 'b'], '1 runs need as many names, got 2'),
        ([ours, '--key', 'los'], 'Did you mean: loss?'),
        ([ours, '--smoothing', '0'], 'at least 1, not 0'),
        ([tmp_path / 'none'], 'does not exist'),
    ):
        status, _, err = run('loss_curves', tmp_path / 'l.png', *argv)
        assert status == 2
        assert message in err
    (ours / '20250101_000000' / 'vis_data' / 'scalars.json').write_text('{"loss": 1.0, "iter": 1, "step": 1}\n')
    assert 'not counted in epochs' in run('loss_curves', tmp_path / 'l.png', ours, '--x', 'epoch')[2]


def test_flops(run, tmp_path):
    config = 'text4vis/text4vis_vit-b-16_ttrans_8xb32-u8-30e_kinetics400-rgb.py'
    status, out, err = run('flops', config, '--json', tmp_path / 'f.json')
    assert status == 0, err
    assert '4 x 3 views' in out
    assert '141 x 4 x 3' in out
    (record,) = json.loads((tmp_path / 'f.json').read_text())
    assert record['unit'] == 'multiply-adds'
    assert (record['clips'], record['crops'], record['shape']) == (4, 3, [3, 8, 224, 224])
    assert f'{record["backbone_per_frame"]["paper_macs"] / 1e9:.1f}' == '11.3'
    assert record['total']['macs'] == sum(record[part]['macs'] for part in ('backbone', 'neck', 'cls_head'))


def test_flops_with_options_and_errors(run, tmp_path):
    Config(dict(model=dict(type='BMN'))).dump(tmp_path / 'bmn.py')
    assert 'no `model` with a backbone' in run('flops', tmp_path / 'bmn.py')[2]
    config = 'text4vis/text4vis_vit-b-32_tap_8xb32-u8-30e_kinetics400-rgb.py'
    assert 'view 3 x 2 x 224 x 224, 1 x 1 views' in run('flops', config, '--shape', 3, 2, 224, 224)[1]
    assert '224 x 224 pixels but got 96 x 96' in run('flops', config, '--shape', 3, 2, 96, 96)[2]
    options = ['--cfg-options', 'model.backbone.image_size=96']
    assert 'view 3 x 2 x 96 x 96' in run('flops', config, '--shape', 3, 2, 96, 96, *options)[1]
