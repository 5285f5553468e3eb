"""Every config: its header, its variables, and one real training and testing step at tiny size."""

import ast
from pathlib import Path

import pytest
import yaml
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from tiny_configs import CONFIGS, ROOT, tiny_run

from textxfer_mm.models.backbones import preprocessor_cfg
from textxfer_mm.models.classifiers import build_classifier_source


def test_there_are_configs():
    assert {Path(c).parts[0] for c in CONFIGS} >= {'mixing', 'quickstart', 'text4vis'}


@pytest.mark.parametrize('name', CONFIGS)
def test_header_is_a_reproduction_record(name):
    header = ast.get_docstring(ast.parse((ROOT / name).read_text()))
    assert 'Command:' in header
    assert 'Our status:' in header or 'Measured' in header
    for word in header.split():
        if word.startswith('configs/'):
            assert (ROOT.parent / word).is_file(), f'{name} names {word}'


@pytest.mark.parametrize('name', CONFIGS)
def test_depth_and_variables(name):
    cfg = Config.fromfile(ROOT / name)
    assert cfg.test_pipeline[-1]['type'] == 'PackActionInputs'
    bases = ast.parse((ROOT / name).read_text())
    depth = [n for n in bases.body if isinstance(n, ast.Assign) and getattr(n.targets[0], 'id', None) == '_base_']
    assert len(depth) <= 1


@pytest.mark.parametrize('name', [c for c in CONFIGS if not c.startswith('quickstart')])
def test_trains_and_tests_one_step(name, tmp_path):
    cfg = tiny_run(Config.fromfile(ROOT / name), tmp_path, tmp_path / 'work')
    runner = Runner.from_cfg(cfg)
    runner.train()
    metrics = runner.test()
    assert 0 <= metrics['acc/top1'] <= 1
    head = runner.model.cls_head
    assert head.num_classes == 400
    assert (tmp_path / 'work' / 'epoch_1.pth').is_file()


@pytest.mark.parametrize('name', [c for c in CONFIGS if c.startswith('text4vis')])
def test_frames_are_normalised_as_the_weights_want(name):
    cfg = Config.fromfile(ROOT / name)
    backbone, pixels = cfg.model.backbone, cfg.model.data_preprocessor
    want = preprocessor_cfg(backbone.arch, backbone.pretrained)
    assert pixels.mean == pytest.approx(want['mean'], abs=1e-4)
    assert pixels.std == pytest.approx(want['std'], abs=1e-4)


@pytest.mark.parametrize('name', CONFIGS)
def test_classifier_is_known_without_weights(name):
    cfg = Config.fromfile(ROOT / name)
    init_default_scope('mmaction')
    source = build_classifier_source(cfg.model.cls_head.classifier)
    assert len(source.class_names) > 1
    assert source.embed_dims in (384, 512)


def test_metafiles_list_every_config():
    index = yaml.safe_load((ROOT.parent / 'model-index.yml').read_text())
    listed, results = [], {}
    for path in index['Import']:
        for model in yaml.safe_load((ROOT.parent / path).read_text())['Models']:
            assert Path(model['Config']).stem == model['Name']
            listed.append(model['Config'].removeprefix('configs/'))
            results[listed[-1]] = [v for r in model.get('Results', []) for v in r['Metrics'].values()]
    assert sorted(listed) == CONFIGS
    for name, numbers in results.items():  # what the metafile claims, the config's header says as well
        for number in numbers:
            assert str(number) in (ROOT / name).read_text(), f'{name}: {number}'
