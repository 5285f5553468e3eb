"""Configs inside checkpoints: what MMEngine writes comes back, code is refused and never run."""

import pytest
import torch
from mmengine.config import Config
from tiny_configs import CONFIGS, ROOT

from textxfer_mm.engine.config_files import config_of_checkpoint, load_config
from textxfer_mm.engine.saved_config import parse_saved_config
from textxfer_mm.errors import UserError


@pytest.mark.parametrize('name', CONFIGS)
def test_every_shipped_config_comes_back(name, monkeypatch):
    # seconds of looks, by yapf in MMEngine and by something else in its fork
    monkeypatch.setattr('mmengine.config.config.FormatCode', lambda text, **options: (text, True), raising=False)
    cfg = Config.fromfile(ROOT / name)
    assert parse_saved_config(cfg.pretty_text, 'a.pth').to_dict() == cfg.to_dict()


def test_values_of_all_kinds_come_back():
    cfg = Config(dict(a=-1.5, b=(1, (2,)), c=[None, True], d={'x.y': dict(z='it\'s "q"\n')}, e={}, f={1: 'one'}))
    assert parse_saved_config(cfg.pretty_text, 'a.pth').to_dict() == cfg.to_dict()


def test_types_that_mmaction_knows_are_accepted():
    text = """
model = dict(
    backbone=dict(type='timm.test_efficientnet'),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
    cls_head=dict(type='mmaction.models.heads.TSNHead'),
    data_preprocessor=dict(type='mmaction.ActionDataPreprocessor'))
custom_imports = dict(allow_failed_imports=False, imports=['textxfer_mm.register'])
"""
    assert parse_saved_config(text, 'a.pth').model.backbone.type == 'timm.test_efficientnet'


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ("open('{}', 'w')", 'line 1 is no assignment'),
        ("a = open('{}', 'w')", 'line 1 holds'),
        ("a = dict(b=[__import__('os').system('touch {}')])", 'line 1 holds'),
        ("a = dict(**open('{}', 'w'))", 'line 1 holds'),
        ("a = [open('{}', 'w') for _ in range(2)]", 'line 1 holds'),
        ("import os; os.system('touch {}')", 'line 1 is no assignment'),
        ("custom_imports = dict(imports=['antigravity'])", "it imports 'antigravity'"),
        ("custom_imports = dict(imports='os')", "it imports 'os'"),
        ("model = dict(type='os.system', command='touch {}')", "type='os.system' is no registered class"),
        ("model = dict(a=[dict(type='mmengine.utils.call_command', cmd=['touch', '{}'])])", 'is no registered class'),
        ("model = dict(type='mmengine.load', file='{}')", 'is no registered class'),
        ("model = dict(neck=dict(type='timm.create_model'))", 'is no registered class'),
        ("model = dict(backbone=dict(type='torchvision.a.b'))", 'is no registered class'),
        ('a = dict(', 'was refused'),
        ('a = ' + '[' * 3000 + ']' * 3000, 'was refused'),
    ],
)
def test_code_is_refused_and_not_run(line, message, tmp_path):
    path, harmed = tmp_path / 'hostile.pth', tmp_path / 'harmed'
    torch.save(dict(state_dict={}, meta=dict(cfg=line.replace('{}', str(harmed)))), path)
    with pytest.raises(UserError, match=r'hostile\.pth was refused(?s:.*)--config FILE') as caught:
        config_of_checkpoint(path)
    assert message in str(caught.value)
    assert not harmed.exists()


@pytest.mark.parametrize('content', [[1], dict(state_dict={}), dict(meta=None), dict(meta=dict(cfg=1))])
def test_a_checkpoint_without_a_config(content, tmp_path):
    torch.save(content, tmp_path / 'a.pth')
    with pytest.raises(UserError, match=r'a\.pth holds no config'):
        config_of_checkpoint(tmp_path / 'a.pth')


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('model = dict(\n', 'SyntaxError'),
        ("\nmodel = 'a' + name\n", r"broken\.py, line 2\): NameError: name 'name' is not defined"),
        ("custom_imports = dict(imports=['no_such_module'])\n", 'ImportError'),
    ],
)
def test_a_broken_config_file_is_one_message(text, message, tmp_path):
    (tmp_path / 'broken.py').write_text(text)
    with pytest.raises(UserError, match=rf'config .*broken\.py cannot be read(?s:.*){message}'):
        load_config(tmp_path / 'broken.py')


@pytest.mark.parametrize('base', ['none.py', 'textxfer_mm::_base_/none.py'])
def test_a_missing_base_is_named(base, tmp_path):
    (tmp_path / 'broken.py').write_text(f'_base_ = [{base!r}]\n')
    with pytest.raises(UserError, match=rf'config .*broken\.py: its _base_ {base!r} does not exist'):
        load_config(tmp_path / 'broken.py')


def test_a_missing_config_names_the_nearest(tmp_path):
    (tmp_path / 'tiny.py').touch()
    with pytest.raises(UserError, match=r'tinny\.py does not exist\. Did you mean: tiny\.py\?'):
        load_config(tmp_path / 'tinny.py')
    with pytest.raises(UserError, match=r'Did you mean: text4vis/text4vis_vit-b-16'):
        load_config('text4vis/text4vis_vit-b-16_tap_8xb32-u8-30e_kinetics400.py')


def test_a_shipped_config_is_found_by_its_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_config(CONFIGS[0]).model
