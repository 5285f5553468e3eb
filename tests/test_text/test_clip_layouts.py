"""Names of other codes become open_clip's, wherever the model lies in a file; what is no CLIP is refused by name."""

import argparse
import io
import os
import pathlib
import random

import pytest
import torch
from clip_layouts import hugging_face, vifi_clip, x_clip
from open_clip.model import CLIP
from safetensors.torch import save
from tiny import TINY_VIT

from textxfer_mm.errors import UserError
from textxfer_mm.text.clip_files import read_clip_state_dict
from textxfer_mm.text.clip_layouts import to_open_clip


@pytest.fixture(scope='module')
def state():
    torch.manual_seed(3)
    return CLIP(**TINY_VIT).state_dict()


def assert_same(found, expected):
    assert set(found) == set(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_hugging_face_names(state):
    layout = to_open_clip(hugging_face(state), 'a')
    assert layout.name == 'huggingface'
    assert_same(layout.weights, state)
    assert layout.original['visual.proj'] == 'visual_projection.weight, transposed'
    assert layout.original['transformer.resblocks.1.attn.in_proj_bias'].startswith(
        'text_model.encoder.layers.1.self_attn.q_proj.bias, text_model.'
    )


def test_the_classes_of_transformers(state):
    """The names are those of the library itself, old position ids and all."""
    transformers = pytest.importorskip('transformers')
    tower = dict(hidden_size=64, intermediate_size=256, num_hidden_layers=2, num_attention_heads=2)
    config = transformers.CLIPConfig(
        vision_config=dict(tower, image_size=32, patch_size=16), text_config=tower, projection_dim=32
    )
    theirs = transformers.CLIPModel(config).state_dict()
    ids = {f'{tower}_model.embeddings.position_ids': torch.arange(5) for tower in ('vision', 'text')}
    found = to_open_clip(theirs | ids, 'a').weights
    assert set(found) == set(state)
    assert {name: value.shape for name, value in found.items() if name != 'token_embedding.weight'} == {
        name: value.shape for name, value in state.items() if name != 'token_embedding.weight'
    }


def test_vifi_clip_names(state):
    layout = to_open_clip({f'module.{name}': value for name, value in vifi_clip(state).items()}, 'a')
    assert (layout.name, layout.prefix) == ('vifi-clip', 'module.')
    prompts = layout.weights.pop('prompt_learner.complete_text_embeddings')
    assert prompts.shape == (3, 77, 64)
    assert_same(layout.weights, {name: value for name, value in state.items() if not name.startswith('token_')})


@pytest.mark.parametrize('prefix', ['', 'model.', 'module.', 'model.module._orig_mod.', 'net.clip_model.'])
@pytest.mark.parametrize('names', [dict, hugging_face, vifi_clip], ids=['open_clip', 'hf', 'vifi'])
def test_prefixes(prefix, names, state):
    outside = {'val_acc.total': torch.tensor(3), 'criterion.weight': torch.zeros(2)} if prefix else {}
    named = {prefix + name: value for name, value in names(state).items()}
    layout = to_open_clip(named | outside, 'a')
    assert layout.prefix == prefix
    assert set(layout.outside) == set(outside)
    assert torch.equal(layout.weights['visual.proj'], state['visual.proj'])


def test_of_two_models_the_usual_one_is_taken(state):
    teacher = {f'ema.{name}': torch.zeros_like(value) for name, value in state.items()}
    layout = to_open_clip(teacher | {f'model.{name}': value for name, value in state.items()}, 'a')
    assert_same(layout.weights, state)
    assert set(layout.outside) == set(teacher)


def test_one_model_under_two_prefixes_is_refused(state):
    halves = {name if number % 2 else f'x.{name}': value for number, (name, value) in enumerate(state.items())}
    with pytest.raises(UserError, match=r"one model under two prefixes: x\.\S+ begins with 'x\.', others with ''"):
        to_open_clip(halves, 'a.pt')


@pytest.mark.parametrize('name', ['visual.a\nerror: b', 'visual.\x1b[31mred', 'x' * 100_000])
def test_names_that_would_spoil_a_message_are_shown_escaped_and_short(name, state):
    with pytest.raises(UserError, match=r'a\.pt has an entry with a name that is no name of a weight') as refused:
        to_open_clip(state | {name: torch.zeros(1)}, 'a.pt')
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize('form', ['microsoft', 'transformers', 'parallel'])
def test_x_clip_is_refused_by_name(form, state):
    names = x_clip(state)
    if form == 'transformers':
        names = hugging_face(state) | {'vision_model.encoder.layers.0.message_attn.q_proj.bias': torch.zeros(3)}
    if form == 'parallel':
        names = {f'module.{name}': value for name, value in names.items()}
    with pytest.raises(UserError, match=r'a\.pt is a checkpoint of X-CLIP \(\S*message_.* Test it with its own code'):
        to_open_clip(names, 'a.pt')


@pytest.mark.parametrize('name', ['image_encoder.VPT', 'image_encoder.transformer.resblocks.1.VPT_shallow'])
def test_learned_visual_prompts_are_refused_by_name(name, state):
    with pytest.raises(UserError, match=r'a\.pt is a checkpoint of ViFi-CLIP with learned visual prompts'):
        to_open_clip(vifi_clip(state) | {name: torch.zeros(8, 64)}, 'a.pt')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            lambda w: w.pop('vision_model.encoder.layers.1.self_attn.k_proj.bias'),
            r'\.1\.self_attn\.k_proj\.bias is missing',
        ),
        (
            lambda w: w.update({'vision_model.encoder.layers.0.self_attn.v_proj.weight': torch.zeros(64, 3)}),
            r'layers\.0\.self_attn\.v_proj\.weight is \(64, 3\), the others are \(64, 64\)',
        ),
        (
            lambda w: [w.pop(name) for name in list(w) if 'layrnorm' in name or 'class_embedding' in name],
            r'is no CLIPModel: it has no pre_layrnorm\.weight and no embeddings\.class_embedding',
        ),
    ],
)
def test_broken_files_of_hugging_face(change, message, state):
    weights = hugging_face(state)
    change(weights)
    with pytest.raises(UserError, match=message):
        to_open_clip(weights, 'a.bin')


# ------------------------------------------------------------------------------------------- settings beside weights


def lightning(state):
    """What Lightning saves, with the arguments of the script among the hyper-parameters."""
    args = argparse.Namespace(lr=1e-3, out=pathlib.Path('/runs'))
    return {
        'epoch': 3,
        'state_dict': {f'model.{name}': value for name, value in state.items()},
        'optimizer_states': [{'state': {0: {'exp_avg': torch.zeros(3)}}, 'param_groups': []}],
        'callbacks': {'ModelCheckpoint': {'best_model_score': torch.tensor(0.5)}},
        'hyper_parameters': {'args': args},
    }


def test_settings_are_passed_over(state, tmp_path):
    torch.save(lightning(state), tmp_path / 'a.ckpt')
    assert_same(read_clip_state_dict(tmp_path / 'a.ckpt'), state)
    yacs = pytest.importorskip('yacs.config')
    config = yacs.CfgNode(dict(TRAIN=yacs.CfgNode(dict(LR=0.1)), FRAMES=[8]))
    torch.save(dict(model=state, optimizer={}, config=config), tmp_path / 'b.pt')
    assert_same(read_clip_state_dict(tmp_path / 'b.pt'), state)


def test_nested_deep(state, tmp_path):
    torch.save({'best': {'weights': {'state_dict': state}, 'optimizer': {'state': {}}}}, tmp_path / 'a.pt')
    assert_same(read_clip_state_dict(tmp_path / 'a.pt'), state)


class Call:
    """Calls a function where it is unpickled."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize('function', [os.system, eval, pathlib.Path.touch])
def test_settings_that_call_something_run_nothing(function, state, tmp_path, monkeypatch):
    """Neither a call beside harmless settings, nor one of a function in a package of settings, is carried out."""
    monkeypatch.chdir(tmp_path)
    hostile = Call(function, "open('pwned', 'w')" if function is eval else pathlib.Path('pwned'))
    torch.save(dict(lightning(state), more=hostile), 'a.ckpt')
    with pytest.raises(UserError, match=r'a\.ckpt is refused'):
        read_clip_state_dict('a.ckpt')
    assert not (tmp_path / 'pwned').exists()


def small_file(kind):
    """The bytes of a file of a kind, small enough that every byte counts."""
    weights = {'visual.proj': torch.zeros(2, 2), 'visual.class_embedding': torch.zeros(2)}
    if kind == 'safetensors':
        return save(weights)
    buffer = io.BytesIO()
    if kind == 'torchscript':
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), buffer)
    else:
        torch.save(dict(weights, epoch=3), buffer, _use_new_zipfile_serialization=kind == 'zip')
    return buffer.getvalue()


@pytest.mark.parametrize('kind', ['zip', 'legacy', 'safetensors', 'torchscript'])
@pytest.mark.filterwarnings('ignore')
def test_damaged_files_are_read_or_refused_in_one_line(kind, tmp_path):
    """Bytes written over, put in or cut off at random."""
    whole, draw = small_file(kind), random.Random(0)
    messages = []
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(draw.randint(1, 9)):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        place = draw.randrange(len(damaged))
        damaged[place : place + draw.choice([0, 0, 1])] = draw.randbytes(draw.choice([0, 0, 5]))
        (tmp_path / 'a.pt').write_bytes(damaged[: draw.choice([None, None, place])])
        try:
            read_clip_state_dict(tmp_path / 'a.pt')
        except UserError as error:
            messages.append(str(error))
    assert len(messages) > 75
    assert not any('\n' in message for message in messages)
    assert all('a.pt' in message for message in messages)
