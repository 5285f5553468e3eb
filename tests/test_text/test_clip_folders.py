"""Folders in open_clip's local form: written whole, and refused by name where something is missing or damaged."""

import errno
import json
from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import TINY_VIT

from textxfer_mm.errors import UserError
from textxfer_mm.text.clip_encoder import CLIPTextEncoder
from textxfer_mm.text.clip_folders import read_clip_folder, write_clip_folder

CONFIG, WEIGHTS = 'open_clip_config.json', 'open_clip_model.safetensors'
PREPROCESS = dict(mean=[0.5, 0.4, 0.3], std=[0.2, 0.2, 0.2], interpolation='bilinear', resize_mode='squash')


@pytest.fixture(scope='module')
def state():
    torch.manual_seed(0)
    return open_clip.model.CLIP(**TINY_VIT).state_dict()


@pytest.fixture
def folder(state, tmp_path):
    return write_clip_folder(tmp_path / 'clip', {**TINY_VIT, 'preprocess_cfg': PREPROCESS}, state, 'float32')


def test_round_trip(folder, state):
    found = read_clip_folder(folder)
    assert found.arch == {**TINY_VIT, 'preprocess_cfg': PREPROCESS}
    assert found.weights == folder / WEIGHTS
    assert all(torch.equal(value, state[name]) for name, value in load_file(found.weights).items())
    assert sorted(path.name for path in folder.iterdir()) == [CONFIG, WEIGHTS]


def test_weights_of_torch_as_on_the_hub(folder, state):
    (folder / WEIGHTS).unlink()
    torch.save(state, folder / 'open_clip_pytorch_model.bin')
    found = read_clip_folder(folder)
    vectors = CLIPTextEncoder(found.arch, found.weights).encode(['a hat'])
    model = open_clip.create_model(f'local-dir:{folder}').eval()
    with torch.no_grad():
        torch.testing.assert_close(vectors, model.encode_text(open_clip.tokenize(['a hat'])), atol=1e-5, rtol=1e-5)


def test_what_is_not_told_is_what_open_clip_takes(folder):
    (folder / CONFIG).write_text(json.dumps(dict(model_cfg=TINY_VIT, preprocess_cfg=dict(mean=[0.1] * 3, std=None))))
    transform = open_clip.create_model_from_pretrained(f'local-dir:{folder}')[1].transforms[-1]
    preprocess = read_clip_folder(folder).arch['preprocess_cfg']
    assert preprocess['mean'] == list(transform.mean) == [0.1] * 3
    assert preprocess['std'] == pytest.approx(list(transform.std))


def test_another_model_takes_the_place_of_the_first(folder, state):
    old = {**TINY_VIT, 'quick_gelu': False}
    write_clip_folder(folder, old, {name: value + 1 for name, value in state.items()}, 'float32')
    assert read_clip_folder(folder).arch['quick_gelu'] is False
    torch.testing.assert_close(load_file(folder / WEIGHTS)['logit_scale'], state['logit_scale'] + 1)


def test_weights_that_cannot_be_written_leave_no_config_of_others(folder, state, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('textxfer_mm.text.clip_folders.save_file', full)
    before = (folder / CONFIG).read_text(), (folder / WEIGHTS).read_bytes()
    with pytest.raises(UserError, match='could not be written: No space left'):
        write_clip_folder(folder, {**TINY_VIT, 'preprocess_cfg': PREPROCESS}, state, 'float32')
    assert ((folder / CONFIG).read_text(), (folder / WEIGHTS).read_bytes()) == before
    with pytest.raises(UserError, match='could not be written'):
        write_clip_folder(folder, {**TINY_VIT, 'quick_gelu': False}, state, 'float32')
    with pytest.raises(UserError, match=f'it lacks {CONFIG}; it holds {WEIGHTS}'):
        read_clip_folder(folder)


def test_values_too_large_for_half_precision(state, tmp_path):
    large = {**state, 'visual.proj': state['visual.proj'] + 7e4}
    with pytest.raises(
        UserError, match=r'visual\.proj has values beyond 65504, the largest of .*float16: take float32'
    ):
        write_clip_folder(tmp_path / 'clip', TINY_VIT, large, 'float16')
    assert not (tmp_path / 'clip').exists()


def whole(**model):
    return json.dumps(dict(model_cfg={**TINY_VIT, **model}))


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('', 'is damaged, or no JSON'),
        ('{"model_cfg": {"embed_dim": 3', 'is damaged, or no JSON'),
        ('\x00\x01', 'is damaged, or no JSON'),
        ('[' * 100_000, 'is damaged, or no JSON'),
        ('[1, 2]', 'is no config of open_clip: it has no "model_cfg"'),
        ('{}', 'is no config of open_clip: it has no "model_cfg"'),
        ('{"model_cfg": "ViT-B-32"}', 'is no config of open_clip: it has no "model_cfg"'),
        ('{"model_cfg": {"embed_dim": 3}}', 'The CLIP model config lacks vision_cfg, text_cfg; it has embed_dim'),
        (whole(embed_dims=3), "Unknown entry 'embed_dims' in the CLIP model config. Did you mean: embed_dim"),
        (whole(embed_dim='32'), "embed_dim of the CLIP model config is a whole number, not '32'"),
        (whole(embed_dim=True), 'embed_dim of the CLIP model config is a whole number, not True'),
        (whole(vision_cfg=[3]), r'vision_cfg of the CLIP model config is a dict of options, not \[3\]'),
        (whole(text_cfg=None), 'text_cfg of the CLIP model config is a dict of options, not None'),
        (json.dumps(dict(model_cfg=TINY_VIT, preprocess_cfg=[1])), r'"preprocess_cfg" is \[1\]; expected are mean'),
    ],
)
def test_a_config_that_is_none(folder, content, message):
    (folder / CONFIG).write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        read_clip_folder(folder)
    assert str(folder / CONFIG) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_config_that_is_no_text(folder):
    (folder / CONFIG).write_bytes(b'\xff\xfe\x00')
    with pytest.raises(UserError, match='is damaged, or no JSON'):
        read_clip_folder(folder)


def test_what_is_no_such_folder(folder, tmp_path):
    with pytest.raises(UserError, match=f'is no folder. A CLIP model is a folder with {CONFIG} and {WEIGHTS}'):
        read_clip_folder(folder / WEIGHTS)
    with pytest.raises(UserError, match=f'lacks {CONFIG} and {WEIGHTS} or open_clip_pytorch_model.bin; it holds clip'):
        read_clip_folder(tmp_path)
    (folder / WEIGHTS).unlink()
    with pytest.raises(UserError, match=f'it lacks {WEIGHTS} or open_clip_pytorch_model.bin; it holds {CONFIG}'):
        read_clip_folder(folder)
    (folder / CONFIG).unlink()
    with pytest.raises(UserError, match='it holds nothing'):
        read_clip_folder(folder)


def test_a_folder_that_cannot_be_read_or_written(folder, state, monkeypatch):
    def refuse(*args, **options):
        raise PermissionError(errno.EACCES, 'Permission denied')

    monkeypatch.setattr(Path, 'touch', refuse)
    with pytest.raises(UserError, match=r'the folder of the CLIP model .* is no folder that can be written to: Perm'):
        write_clip_folder(folder, TINY_VIT, state, 'float32')
    monkeypatch.setattr(Path, 'iterdir', refuse)
    with pytest.raises(UserError, match='clip cannot be read: Permission denied'):
        read_clip_folder(folder)


def test_weights_that_do_not_fit(folder, state):
    short = {name: value for name, value in state.items() if name != 'ln_final.bias'}
    save_file(short, folder / WEIGHTS)
    found = read_clip_folder(folder)
    with pytest.raises(UserError, match=r'clip/open_clip_model\.safetensors do not fit.*ln_final\.bias is missing'):
        CLIPTextEncoder(found.arch, found.weights).encode(['a'])
