import os
import pickle

import pytest
import torch
from open_clip.model import CLIP, CustomTextCLIP
from tiny import TINY_VIT

from textxfer_mm.errors import UserError
from textxfer_mm.text.clip_files import read_clip_state_dict, text_tower_state, vision_tower_state


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(3)
    return CLIP(**TINY_VIT).eval()


KINDS = (
    'torchscript',
    'plain',
    'legacy',
    'fp16 with meta',
    'training checkpoint',
    'compiled',
    'safetensors',
    'safetensors fp16',
)


@pytest.mark.filterwarnings('error::UserWarning')
@pytest.mark.parametrize('kind', KINDS)
def test_all_formats_give_the_same_weights(kind, model, tmp_path, write_clip):
    path = write_clip(kind, model, tmp_path / 'weights.bin')  # the suffix does not matter
    state = read_clip_state_dict(path)
    assert set(state) == set(model.state_dict())
    assert {value.dtype for value in state.values()} == {torch.float32}
    exact = kind in ('plain', 'legacy', 'training checkpoint', 'compiled', 'safetensors')
    for name, value in model.state_dict().items():
        torch.testing.assert_close(state[name], value if exact else value.half().float(), rtol=0, atol=0)


def test_towers(model):
    state = model.state_dict()
    vision, text = vision_tower_state(state), text_tower_state(state)
    assert set(vision) == set(model.visual.state_dict())
    assert len(vision) + len(text) + 1 == len(state)  # logit_scale belongs to neither
    custom = CustomTextCLIP(**TINY_VIT)
    assert set(text_tower_state(custom.state_dict())) == set(text) == set(custom.text.state_dict())


def test_tower_errors(model):
    vision_only = {name: value for name, value in model.state_dict().items() if name.startswith('visual.')}
    with pytest.raises(UserError, match=r'x\.pt hold no CLIP text tower .* found visual\.'):
        text_tower_state(vision_only, 'x.pt')
    with pytest.raises(UserError, match=r'the weights hold no CLIP vision tower .* found text\.x'):
        vision_tower_state({'text.x': torch.zeros(1)})


class Hostile:
    def __reduce__(self):
        return os.system, ('touch pwned',)


def test_hostile_pickles_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(dict(state_dict=Hostile()), 'a.pt')
    (tmp_path / 'b.pt').write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(UserError, match=r'a\.pt is refused: it asks for \w+\.system'):
        read_clip_state_dict('a.pt')
    with pytest.raises(UserError, match=r'b\.pt'):
        read_clip_state_dict('b.pt')
    assert not (tmp_path / 'pwned').exists()


def test_unreadable_files(model, tmp_path, write_clip):
    with pytest.raises(UserError, match=r'not found: .*none\.pt'):
        read_clip_state_dict(tmp_path / 'none.pt')
    (tmp_path / 'text.pt').write_text('weights, honestly')
    (tmp_path / 'empty.pt').write_bytes(b'')
    whole = write_clip('plain', model, tmp_path / 'whole.pt').read_bytes()
    (tmp_path / 'cut.pt').write_bytes(whole[: len(whole) // 2])
    whole = write_clip('safetensors', model, tmp_path / 'whole.safetensors').read_bytes()
    (tmp_path / 'cut.safetensors').write_bytes(whole[: len(whole) // 2])
    for name in ('text.pt', 'empty.pt', 'cut.pt', 'cut.safetensors'):
        with pytest.raises(UserError, match=name):
            read_clip_state_dict(tmp_path / name)


def test_other_content(tmp_path):
    torch.save([1, 2], tmp_path / 'list.pt')
    torch.save(dict(epoch=3, lr=0.1), tmp_path / 'numbers.pt')
    with pytest.raises(UserError, match='holds a list, not a state dict'):
        read_clip_state_dict(tmp_path / 'list.pt')
    with pytest.raises(UserError, match='holds no tensors; its entries are epoch, lr'):
        read_clip_state_dict(tmp_path / 'numbers.pt')
