"""``tools/model_converters/convert_checkpoint.py``: its output, its one-line errors, and what becomes of its files."""

import runpy
import sys
from pathlib import Path

import open_clip
import pytest
import torch
from authors_text4vis import logits, random_weights
from captioned import caption_model
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


def save_run(path, cfg):
    """A checkpoint as a run saves it, and the model."""
    init_default_scope('mmaction')
    model = MODELS.build(Config(dict(model=cfg)).model)
    model.init_weights()
    text = Config(dict(default_scope='mmaction', model=cfg)).pretty_text
    torch.save(dict(state_dict=model.state_dict(), meta=dict(cfg=text)), path)
    return model.eval()


def test_a_run_with_its_text_tower_becomes_a_folder_of_open_clip(convert):
    model = save_run('epoch_1.pth', caption_model())
    status, out, err = convert('--source', 'open_clip', '--reverse', 'epoch_1.pth', 'tower')
    assert (status, out, err) == (0, 'epoch_1.pth -> tower\n', '')
    frames = torch.randn(2, 3, 32, 32)
    clip = open_clip.create_model('local-dir:tower').eval()
    with torch.no_grad():
        torch.testing.assert_close(clip.encode_image(frames), model.backbone(frames)[..., 0, 0], atol=1e-5, rtol=1e-5)
        ours = model.cls_head.class_rows.encode(['a hat'])
        torch.testing.assert_close(clip.encode_text(open_clip.tokenize(['a hat'])), ours, atol=1e-5, rtol=1e-5)


def test_a_config_takes_the_place_of_the_one_inside(convert):
    save_run('epoch_1.pth', caption_model())
    torch.save(dict(state_dict=torch.load('epoch_1.pth')['state_dict']), 'bare.pth')
    Path('run.py').write_text(Config(dict(default_scope='mmaction', model=caption_model())).pretty_text)
    for words in (['epoch_1.pth', 'one'], ['bare.pth', 'two', '--config', 'run.py']):
        assert convert('--source', 'open_clip', '--reverse', *words)[0] == 0
    one, two = (Path(folder, 'open_clip_model.safetensors').read_bytes() for folder in ('one', 'two'))
    assert one == two
    Path('part.py').write_text("default_scope = 'mmaction'")
    for config, message in (
        ('part.py', 'error: part.py has no `model`'),
        ('none.py', 'error: config none.py does not'),
    ):
        status, _, err = convert('--source', 'open_clip', '--reverse', 'bare.pth', 'three', '--config', config)
        assert status == 2
        assert err.startswith(message)
        assert err.count('\n') == 1
        assert not Path('three').exists()


def test_what_becomes_no_folder_of_open_clip(convert):
    cfg = caption_model()
    cfg['neck'] = dict(type='TemporalTransformer', in_channels=32, num_layers=1, num_heads=1)
    save_run('neck.pth', cfg)
    save_run('good.pth', caption_model())
    torch.save(dict(state_dict=torch.load('good.pth')['state_dict']), 'bare.pth')
    Path('file').touch()
    for src, dst, message in (
        ('neck.pth', 'tower', 'error: This model cannot be saved as a CLIP model of open_clip: its neck Temp'),
        ('bare.pth', 'tower', 'error: bare.pth holds no config'),
        ('good.pth', 'file', 'error: DST file is no folder that can be written to: File exists'),
    ):
        status, out, err = convert('--source', 'open_clip', '--reverse', src, dst)
        assert (status, out) == (2, '')
        assert err.startswith(message)
        assert err.count('\n') == 1
        assert not Path('tower').exists()


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
        (
            ['--source', 'text4vis', '--reverse', '--config', 'c.py', 'a', 'b'],
            '--config needs --source open_clip --rev',
        ),
        (['--source', 'openai', '--class-names', 'kinetics400', 'a', 'b'], '--class-names needs --source vifi-clip'),
    ],
)
def test_usage(words, message, convert):
    status, _, err = convert(*words)
    assert status == 2
    assert message in err
