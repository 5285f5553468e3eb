"""Every config: its header, its variables, and one real training and testing step at tiny size."""

import ast
from pathlib import Path

import pytest
import yaml
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from tiny import TEXT_CFG
from tiny_runs import write_dataset

from textxfer_mm.models.backbones import preprocessor_cfg
from textxfer_mm.models.classifiers import build_classifier_source

ROOT = Path(__file__).parents[2] / 'configs'
CONFIGS = sorted(str(p.relative_to(ROOT)) for p in ROOT.rglob('*.py') if '_base_' not in p.parts)
#: What stands in for a CLIP of any name: two layers, on the frames' true size.
TINY_CLIP = dict(
    embed_dim=512,
    quick_gelu=True,
    vision_cfg=dict(image_size=224, layers=1, width=32, head_width=16, patch_size=56),
    text_cfg=dict(TEXT_CFG, layers=1, width=32),
)


SMALLER = {256: 72, 224: 64}


def replace_clip(node):
    """Put the tiny CLIP where an open_clip model is named; drop other downloads."""
    if isinstance(node, dict):
        if node.get('type') in ('CLIPBackbone', 'CLIPTextEncoder') and isinstance(node['arch'], str):
            node.update(arch=TINY_CLIP, pretrained=None)
        elif isinstance(node.get('pretrained'), str) and '://' in node['pretrained']:
            node['pretrained'] = None
        if node.get('type') == 'TemporalTransformer':
            node['num_layers'] = 1
        if node.get('type') in ('ResNetTSM', 'SwinTransformer3D'):
            node['pretrained2d'] = False
        for value in node.values():
            replace_clip(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            replace_clip(value)


def shrink_pixels(pipeline):
    """Let a stock pipeline make small frames."""
    for step in pipeline:
        for key in ('scale', 'crop_size', 'input_size'):
            value = step.get(key)
            if isinstance(value, (tuple, list)):
                step[key] = tuple(SMALLER.get(v, v) for v in value)
            elif value is not None:
                step[key] = SMALLER.get(value, value)


def tiny(cfg, folder, work_dir):
    """The same config on eight tiny videos, one epoch, without downloads."""
    replace_clip(cfg.model)
    cfg.work_dir = str(work_dir)
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1, val_interval=100)
    cfg.load_from = None
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg[name]
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        loader.dataset.ann_file = str(write_dataset(folder / name, good=2))
        loader.dataset.data_prefix = dict(video=str(folder / name))
        if cfg.model.backbone.type != 'CLIPBackbone':
            shrink_pixels(loader.dataset.pipeline)
    if cfg.optim_wrapper.get('type') == 'AmpOptimWrapper':
        cfg.optim_wrapper.type = 'AutocastOptimWrapper'  # as tools/train.py does without a GPU
    if cfg.model.backbone.type == 'MViT':
        cfg.model.backbone.update(spatial_size=64, temporal_size=16)
    return cfg


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
    depth = [n for n in bases.body if isinstance(n, ast.Assign) and n.targets[0].id == '_base_']
    assert len(depth) <= 1


@pytest.mark.parametrize('name', [c for c in CONFIGS if not c.startswith('quickstart')])
def test_trains_and_tests_one_step(name, tmp_path):
    cfg = tiny(Config.fromfile(ROOT / name), tmp_path, tmp_path / 'work')
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
