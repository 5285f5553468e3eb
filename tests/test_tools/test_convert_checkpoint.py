"""``tools/model_converters/convert_checkpoint.py``: its output, its one-line errors, and what becomes of its files."""

import runpy
import sys
from pathlib import Path

import pytest
import torch
from authors_text4vis import logits, random_weights
from mmengine.config import Config
from mmengine.registry import init_default_scope
from tiny_configs import ROOT as CONFIGS

from textxfer_mm.engine.checkpoint import load_checkpoint_file
from textxfer_mm.registry import MODELS

TOOL = Path(__file__).parents[2] / 'tools' / 'model_converters' / 'convert_checkpoint.py'


@pytest.fixture
def convert(monkeypatch, tmp_path, capsys):
    """Run the tool in a folder of its own; return the exit status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr(sys, 'argv', ['convert_checkpoint.py', *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(TOOL), run_name='__main__')
        return stop.value.code, *capsys.readouterr()

    return run


def test_what_it_says(convert):
    torch.save(dict(model_state_dict=random_weights(fusion=True, control_point=True)), 'a.pt')
    status, out, err = convert('--source', 'text4vis', 'a.pt', 'b.pth')
    assert (status, err) == (0, '')
    lines = out.splitlines()
    assert lines[0] == 'a.pt -> b.pth'
    assert lines[1].startswith("architecture: none that open_clip has a name for: {'embed_dim': 128, ")
    assert lines[2] == 'temporal module: TokenT1D (all blocks) and T-Trans (in_channels=128)'
    assert lines[3].startswith('heads of the vision tower: 3 of 64 channels are ASSUMED')
    assert lines[4].startswith('heads of T-Trans: 2 are ASSUMED')
    assert lines[5].startswith('frames: cannot be told from the weights')
    assert set(load_checkpoint_file('b.pth')) == {'state_dict', 'meta'}
    assert lines[6].startswith('No shipped config has this architecture.')


def test_the_config_that_it_prints(convert):
    torch.save(dict(model_state_dict=random_weights(control_point=True)), 'a.pt')
    lines = convert('--source', 'text4vis', 'a.pt', 'b.pth')[1].splitlines()
    printed = '\n'.join(line for line in lines if line.startswith('    '))
    classifier = "dict(_delete_=True, type='RandomClassifier', class_names=['a', 'b'], embed_dims=128)"
    base = CONFIGS / 'text4vis' / 'text4vis_vit-b-16_ttrans_8xb32-u8-30e_kinetics400-rgb.py'
    Path('c.py').write_text(
        f'_base_ = {str(base)!r}\nmodel = dict(\n{printed.replace("dict(...)", classifier)}\n)\n', encoding='utf-8'
    )
    cfg = Config.fromfile('c.py')
    init_default_scope('mmaction')
    model = MODELS.build(dict(cfg.model, data_preprocessor=None))
    misfits = model.load_state_dict(load_checkpoint_file('b.pth')['state_dict'], strict=False)
    assert not misfits.unexpected_keys
    assert all(name.startswith('cls_head.class_rows.') for name in misfits.missing_keys)
    model.cls_head.class_rows.fill()
    assert model.eval()(torch.zeros(1, 1, 3, 4, 32, 32), mode='tensor').shape[1] == 128


def test_there_and_back(convert):
    weights = random_weights(fusion=True)
    torch.save(dict(model_state_dict=weights), 'a.pt')
    assert convert('a.pt', 'b.pth', '--source', 'text4vis')[0] == 0
    status, out, _ = convert('--source', 'text4vis', '--reverse', 'b.pth', 'c.pt')
    assert (status, out) == (0, 'b.pth -> c.pt\n')
    back = torch.load('c.pt', weights_only=True)['model_state_dict']
    video, text = torch.randn(1, 3, 4, 32, 32), torch.randn(3, 128)
    assert torch.equal(logits(back, video, text), logits(weights, video, text))


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--source', 'openai', 'a.pt', 'b.pth'], 'error: a.pt is no openai checkpoint: it looks like '),
        (['--source', 'text4vis', 'none.pt', 'b.pth'], 'error: SRC none.pt does not exist. Known: a.pt.'),
        (
            ['--source', 'text4vis', '.', 'b.pth'],
            'error: SRC . is a folder: give the file of the weights in it. Known: a.pt.',
        ),
        (['--source', 'text4vis', 'a.pt', 'a.pt'], 'error: SRC and DST are one file'),
        (['--source', 'text4vis', '--reverse', 'none.pth', 'b.pt'], 'error: SRC none.pth does not exist. Known: a.pt.'),
        (['--source', 'openai', '--reverse', 'a.pt', 'b.pt'], 'error: --reverse writes the layout of text4vis only'),
    ],
)
def test_mistakes_end_in_one_line(words, message, convert):
    torch.save(dict(model_state_dict=random_weights()), 'a.pt')
    status, out, err = convert(*words)
    assert (status, out) == (2, '')
    assert err.startswith(message)
    assert err.count('\n') == 1
    assert [path.name for path in Path().iterdir()] == ['a.pt']


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['a.pt', 'b.pth'], 'required: --source'),
        (['--source', 'clip', 'a.pt', 'b.pth'], "invalid choice: 'clip'"),
        (['--source', 'text4vis', '--reverse', '--arch', 'ViT-B-16', 'a', 'b'], '--arch says nothing with --reverse'),
        (['--source', 'openai', '--class-names', 'kinetics400', 'a', 'b'], '--class-names needs --source vifi-clip'),
    ],
)
def test_usage(words, message, convert):
    status, _, err = convert(*words)
    assert status == 2
    assert message in err
