import sys

import pytest
import torch
from open_clip.model import CLIP, CustomTextCLIP
from open_clip.tokenizer import SimpleTokenizer
from tiny import TINY_RESNET, TINY_VIT

from textxfer_mm.classifiers.sources import TextClassifier
from textxfer_mm.classifiers.tower_rows import TowerRows
from textxfer_mm.errors import NotAtHandError, UserError
from textxfer_mm.text.clip_encoder import CLIPTextEncoder
from textxfer_mm.text.encoding import TextEncoder

TEXTS = ['a video of a person riding a bike.', 'ApplyEyeMakeup', 'a', 'a photo of a person juggling balls, outdoors.']


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(3)
    return CLIP(**TINY_VIT).eval()


@torch.no_grad()
def reference(model, texts):
    return model.encode_text(SimpleTokenizer()(texts))


@pytest.mark.parametrize('kind', ['torchscript', 'plain', 'fp16 with meta', 'training checkpoint', 'safetensors'])
def test_parity_with_the_full_model(kind, model, tmp_path, write_clip):
    path = write_clip(kind, model, tmp_path / 'weights.pt')
    half = kind in ('torchscript', 'fp16 with meta')
    full = CLIP(**TINY_VIT).eval()
    full.load_state_dict({name: value.half().float() if half else value for name, value in model.state_dict().items()})
    encoder = CLIPTextEncoder(TINY_VIT, path, batch_size=3)
    features = encoder.encode(TEXTS)
    torch.testing.assert_close(features, reference(full, TEXTS), rtol=1e-5, atol=1e-6)
    assert features.shape == (4, encoder.embed_dims)
    assert (features.norm(dim=1) - 1).abs().max() > 1e-3  # not normalised
    assert encoder.encoder_id == f'open_clip/{encoder.arch}/weights.pt'


def test_custom_text_weights(tmp_path):
    full = CustomTextCLIP(**TINY_VIT).eval()
    torch.save(full.state_dict(), tmp_path / 'w.pt')
    torch.testing.assert_close(
        CLIPTextEncoder(TINY_VIT, tmp_path / 'w.pt').encode(TEXTS), reference(full, TEXTS), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(
    'changes', [dict(no_causal_mask=True), dict(pool_type='last'), dict(pool_type='eos', eos_id=49407)]
)
def test_other_towers_see_what_they_were_trained_on(changes, tmp_path):
    config = dict(TINY_VIT, text_cfg=dict(TINY_VIT['text_cfg'], **changes))
    full = CLIP(**config) if 'no_causal_mask' not in changes else CustomTextCLIP(**config)
    torch.save(full.state_dict(), tmp_path / 'w.pt')
    expected = reference(full.eval(), TEXTS)
    features = CLIPTextEncoder(config, tmp_path / 'w.pt', batch_size=2).encode(TEXTS)
    torch.testing.assert_close(features, expected, rtol=1e-5, atol=1e-6)


def test_only_the_prompt_is_computed(monkeypatch):
    encoder = CLIPTextEncoder(TINY_VIT)
    encoder.encode(['a'])
    seen = []
    encoder._tower.model.transformer.register_forward_pre_hook(lambda module, args: seen.append(args[0].shape[1]))
    encoder.encode(['a', 'a video of'])
    assert seen == [5]
    assert encoder._tower.model.attn_mask.shape == (77, 77)


def test_coca_returns_the_pooled_vector():
    text_cfg = dict(context_length=76, width=64, heads=2, layers=1, embed_cls=True, output_tokens=True)
    encoder = CLIPTextEncoder(dict(TINY_VIT, text_cfg=text_cfg))
    tower = encoder.tower()
    pooled, _ = tower.model(tower.tokenize(['a', 'b']))
    torch.testing.assert_close(encoder.encode(['a', 'b']), pooled)


def test_width_without_projection():
    encoder = CLIPTextEncoder(dict(TINY_VIT, text_cfg=dict(TINY_VIT['text_cfg'], proj_type='none')))
    assert encoder.embed_dims == encoder.encode(['a']).shape[1] == 64


def test_contract_is_cheap(monkeypatch, tmp_path):
    def forbidden(*args, **kwargs):
        raise AssertionError('weights were loaded')

    monkeypatch.setattr('textxfer_mm.text.clip_encoder.load_pretrained_state', forbidden)
    for name in ('model._build_text_tower', 'tokenizer.SimpleTokenizer'):
        monkeypatch.setattr(f'open_clip.{name}', forbidden)
    encoder = CLIPTextEncoder('ViT-L-14-quickgelu', 'openai')
    assert isinstance(encoder, TextEncoder)
    assert (encoder.embed_dims, encoder.context_length) == (768, 77)
    assert encoder.encoder_id == encoder.fingerprint() == 'open_clip/ViT-L-14-quickgelu/openai'
    gone = CLIPTextEncoder('ViT-B-16', tmp_path / 'gone.pt')  # a checkpoint must load without it
    assert gone.encoder_id == 'open_clip/ViT-B-16/gone.pt'
    with pytest.raises(UserError, match=r'not found: .*gone\.pt'):
        gone.fingerprint()


def test_random_weights_are_the_same_everywhere_and_leave_the_random_state_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first = CLIPTextEncoder(TINY_VIT).encode(TEXTS)
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)
    torch.manual_seed(2)
    second = CLIPTextEncoder(TINY_VIT)
    torch.testing.assert_close(second.encode(TEXTS), first, rtol=0, atol=0)
    assert second.encoder_id.endswith('/random')


def test_surrounding_modes_do_not_matter():
    plain = CLIPTextEncoder(TINY_VIT).encode(TEXTS)
    with torch.autocast('cpu', dtype=torch.bfloat16), torch.inference_mode():
        features = CLIPTextEncoder(TINY_VIT).encode(TEXTS)
    torch.testing.assert_close(features, plain, rtol=0, atol=0)
    assert not features.is_inference()
    assert not features.requires_grad


def test_release_frees_and_reloads():
    encoder = CLIPTextEncoder(TINY_VIT)
    features = encoder.encode(TEXTS)
    encoder.release()
    assert encoder._tower is None
    torch.testing.assert_close(encoder.encode(TEXTS), features, rtol=0, atol=0)


def test_fingerprint_tells_weights_apart(tmp_path):
    for name, fill in (('a', 1.0), ('b', 2.0)):
        (tmp_path / name).mkdir()
        torch.save(dict(x=torch.full((3,), fill)), tmp_path / name / 'w.pt')
    one, two = (CLIPTextEncoder(TINY_VIT, tmp_path / name / 'w.pt') for name in 'ab')
    assert one.encoder_id == two.encoder_id
    prints = {
        one.fingerprint(),
        two.fingerprint(),
        CLIPTextEncoder(TINY_VIT).fingerprint(),
        CLIPTextEncoder(TINY_RESNET).fingerprint(),
        CLIPTextEncoder(dict(TINY_VIT, quick_gelu=False)).fingerprint(),
    }
    assert len(prints) == 5


def test_long_prompts_are_named_not_cut():
    encoder = CLIPTextEncoder(TINY_VIT)
    fits, long = 'a ' * 75, 'b ' * 76  # start and end tokens included: 77 and 78
    assert encoder.encode([fits]).shape == (1, 32)
    with pytest.raises(UserError, match=r"reads at most 77 tokens; longer prompts \(tokens\): 'b b .*\(78\)\. Shorten"):
        encoder.encode([fits, long])


def test_errors(model, tmp_path, write_clip):
    path = write_clip('plain', model, tmp_path / 'tiny.pt')
    with pytest.raises(UserError, match=r'tiny\.pt do not fit the architecture ViT-S-32'):
        CLIPTextEncoder('ViT-S-32', path).encode(['a'])
    torch.save({'visual.proj': torch.zeros(2)}, tmp_path / 'vision.pt')
    with pytest.raises(UserError, match=r'vision\.pt hold no CLIP text tower'):
        CLIPTextEncoder(TINY_VIT, tmp_path / 'vision.pt').encode(['a'])
    with pytest.raises(UserError, match=r'text_cfg` of custom-.* is not one of open_clip: .*depth'):
        CLIPTextEncoder(dict(TINY_VIT, text_cfg=dict(depth=3))).encode(['a'])
    with pytest.raises(UserError, match='at least 1, got 0'):
        CLIPTextEncoder(TINY_VIT, batch_size=0)


def test_tokenizer_of_the_hub_offline(monkeypatch, tmp_path):
    pytest.importorskip('transformers')
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_CACHE', str(tmp_path))
    with pytest.raises(
        UserError, match=r"The tokenizer of ViT-B-16-SigLIP: 'timm/ViT-B-16-SigLIP' .* cannot be reached"
    ):
        CLIPTextEncoder('ViT-B-16-SigLIP', 'webli').encode(['a'])


def test_a_trained_tower_tests_without_transformers(monkeypatch):
    monkeypatch.setitem(sys.modules, 'transformers', None)
    encoder = CLIPTextEncoder('ViT-B-16-SigLIP')
    with pytest.raises(NotAtHandError, match=r'ViT-B-16-SigLIP needs transformers: pip install "textxfer_mm\[language'):
        encoder.encode(['a'])
    assert TowerRows(TextClassifier(['waving', 'clapping'], encoder)).tower is None


def test_nothing_is_unknown_to_bytes():
    assert CLIPTextEncoder(TINY_VIT).unknown(['走路', 'walk']) == [0.0, 0.0]
