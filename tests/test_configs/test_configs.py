"""Every config: its header, its variables, and one real training and testing step at tiny size."""

import ast
import re
from pathlib import Path

import pytest
import yaml
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from tiny_configs import CONFIGS, ROOT, tiny_run

from textxfer_mm.models.backbones import preprocessor_cfg
from textxfer_mm.models.classifiers import build_classifier_source

#: Top-1 on Kinetics-400 with 8 frames: TAP from Table 2, T-Trans from Table 5 (1 view, 4 x 3 views).
PAPER = {
    'text4vis_vit-b-32_ttrans': {77.97, 79.57},
    'text4vis_vit-b-16_ttrans': {81.52, 82.65},
    'text4vis_vit-b-16_tap': {80.13},
}


def test_there_are_configs():
    assert {Path(c).parts[0] for c in CONFIGS} >= {'mixing', 'quickstart', 'text4vis'}


@pytest.mark.parametrize('name', CONFIGS)
def test_header_is_a_reproduction_record(name):
    header = ast.get_docstring(ast.parse((ROOT / name).read_text()))
    assert 'Command:' in header
    assert 'Our status:' in header or 'Measured' in header
    assert not re.findall('@[A-Z_]+@', header)
    for word in header.split():
        if word.startswith('configs/'):
            assert (ROOT.parent / word).is_file(), f'{name} names {word}'


def depth(file):
    """How many configs lie above one another under a config; a stock config of another package counts as one."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == '_base_':
            bases = ast.literal_eval(node.value)
            bases = [bases] if isinstance(bases, str) else bases
            return max(1 if '::' in base else 1 + depth(file.parent / base) for base in bases)
    return 0


@pytest.mark.parametrize('name', CONFIGS)
def test_depth_and_variables(name):
    cfg = Config.fromfile(ROOT / name)
    assert cfg.test_pipeline[-1]['type'] == 'PackActionInputs'
    assert depth(ROOT / name) <= 2


def test_depth_follows_the_bases(tmp_path):
    for name, base in dict(a=None, b='a.py', c=['stock::x.py', 'b.py'], d=['c.py']).items():
        (tmp_path / f'{name}.py').write_text(f'_base_ = {base!r}' if base else 'x = 1')
    assert [depth(tmp_path / f'{name}.py') for name in 'abcd'] == [0, 1, 2, 3]


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


@pytest.mark.parametrize('name', [c for c in CONFIGS if not c.startswith('mixing')])
def test_frames_are_normalised_as_the_weights_want(name):
    cfg = Config.fromfile(ROOT / name)
    backbone, pixels = cfg.model.backbone, cfg.model.data_preprocessor
    assert backbone.type == 'CLIPBackbone'
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
    listed, results, papers = [], {}, {}
    for path in index['Import']:
        for model in yaml.safe_load((ROOT.parent / path).read_text())['Models']:
            assert Path(model['Config']).stem == model['Name']
            listed.append(model['Config'].removeprefix('configs/'))
            metrics = {k: v for r in model.get('Results', []) for k, v in r['Metrics'].items()}
            results[listed[-1]] = list(metrics.values())
            papers[listed[-1]] = {v for k, v in metrics.items() if k.startswith('Paper')}
    assert sorted(listed) == CONFIGS
    for name, numbers in results.items():  # what the metafile claims, the config's header says as well
        for number in numbers:
            assert str(number) in (ROOT / name).read_text(), f'{name}: {number}'
    for name, numbers in papers.items():  # and the other way round; and both are what the paper says
        header = ast.get_docstring(ast.parse((ROOT / name).read_text()))
        in_header = re.search(r"Paper's top-1:(.*?)Command:", header, re.DOTALL)
        assert {float(n) for n in re.findall(r'\d+\.\d\d', in_header[1] if in_header else '')} == numbers, name
        assert numbers == PAPER.get(Path(name).stem.split('_8x')[0], set()), name
