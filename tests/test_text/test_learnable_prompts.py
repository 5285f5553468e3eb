import copy

import pytest
import torch
from open_clip.tokenizer import SimpleTokenizer
from tiny import TINY_VIT, FixedSource

from textxfer_mm.classifiers.prompt_rows import PromptSource
from textxfer_mm.classifiers.sources import TextClassifier
from textxfer_mm.errors import UserError
from textxfer_mm.text.clip_encoder import CLIPTextEncoder
from textxfer_mm.text.language_encoder import LanguageModelEncoder
from textxfer_mm.text.learnable_prompts import LearnablePrompts

NAMES = ['riding a bike', 'jumping', 'ApplyEyeMakeup']
M, W, D = 4, 64, 32


def make(tower=None, names=NAMES, num_context=M, class_position='end', suffix='.'):
    tower = tower or CLIPTextEncoder(TINY_VIT).tower()
    return LearnablePrompts(tower, names, num_context=num_context, class_position=class_position, suffix=suffix)


def coop(model, context, class_position, suffix='.'):
    """CoOp's own way: placeholders in the text, all 77 tokens, one class at a time."""
    tokenizer, rows = SimpleTokenizer(), []
    num_context = context.shape[-2]
    for k, name in enumerate(NAMES):
        tokens = tokenizer([' '.join(['X'] * num_context) + ' ' + name + suffix])  # (1, 77)
        embedding = model.token_embedding(tokens)  # (1, 77, W)
        prefix, rest = embedding[:, :1], embedding[:, 1 + num_context :]
        length = len(tokenizer.encode(name))
        name_part, end = rest[:, :length], rest[:, length:]
        vectors = (context if context.dim() == 2 else context[k])[None]
        half = num_context // 2
        parts = dict(
            end=[prefix, vectors, rest],
            middle=[prefix, vectors[:, :half], name_part, vectors[:, half:], end],
            front=[prefix, name_part, vectors, end],
        )[class_position]
        x = torch.cat(parts, dim=1) + model.positional_embedding
        x = model.ln_final(model.transformer(x, attn_mask=model.attn_mask))
        rows.append(x[0, tokens[0].argmax()] @ model.text_projection)
    return torch.stack(rows)


@pytest.mark.parametrize('class_position', ['end', 'middle', 'front'])
@pytest.mark.parametrize('class_specific', [False, True])
@pytest.mark.parametrize('batch_size', [None, 2])
def test_against_coop(class_position, class_specific, batch_size):
    torch.manual_seed(0)
    tower = CLIPTextEncoder(TINY_VIT).tower()
    prompts = make(tower, class_position=class_position)
    shape = (len(NAMES), M, W) if class_specific else (M, W)
    context = torch.randn(shape, requires_grad=True)
    probe = torch.randn(len(NAMES), D)
    rows = prompts.encode(context, batch_size)
    (rows * probe).sum().backward()
    got, context.grad = context.grad, None
    expected = coop(tower.model, context, class_position)
    (expected * probe).sum().backward()
    torch.testing.assert_close(rows, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(got, context.grad, rtol=1e-4, atol=1e-5)
    assert not any(p.requires_grad for p in tower.parameters())


@pytest.mark.parametrize(('num_context', 'suffix'), [(3, '.'), (5, ''), (1, ', slowly')])
def test_odd_contexts_and_suffixes(num_context, suffix):
    tower = CLIPTextEncoder(TINY_VIT).tower()
    context = torch.randn(num_context, W)
    for position in ('end', 'middle', 'front'):
        rows = make(tower, num_context=num_context, class_position=position, suffix=suffix).encode(context)
        torch.testing.assert_close(rows, coop(tower.model, context, position, suffix), rtol=1e-5, atol=1e-5)


def test_words_as_context_are_the_words():
    prompts = make()
    context = prompts.word_embeddings('a video of a', M)
    embedding = prompts.tower.model.token_embedding.weight
    ids = SimpleTokenizer().encode('a video of a')
    torch.testing.assert_close(context, embedding[ids], rtol=0, atol=0)
    texts = [f'a video of a {name}.' for name in NAMES]
    torch.testing.assert_close(prompts.encode(context), CLIPTextEncoder(TINY_VIT).encode(texts), rtol=1e-5, atol=1e-5)


def test_words_of_more_tokens_than_vectors():
    with pytest.raises(
        UserError, match=r"init_words='ApplyEyeMakeup' are \d+ tokens .* 1 context vectors\. Give num_co"
    ):
        make(num_context=1).word_embeddings('ApplyEyeMakeup', 1)


def test_prompts_over_the_context_length_are_named():
    names = ['jumping', 'b ' * 71]
    assert make(names=names, num_context=3).encode(torch.zeros(3, W)).shape == (2, D)  # 1 + 3 + 71 + 1 + 1 = 77
    with pytest.raises(UserError, match=r"at most 77 tokens; with 4 context vectors .* more \(tokens\): 'b b .*\(78\)"):
        make(names=names)


def test_towers_without_embeddings():
    config = dict(TINY_VIT, text_cfg=dict(TINY_VIT['text_cfg'], no_causal_mask=True))
    with pytest.raises(UserError, match='cannot take token embeddings'):
        make(CLIPTextEncoder(config).tower())


@pytest.mark.parametrize('class_position', ['end', 'middle', 'front'])
def test_language_model_against_a_loop(bert, class_position):
    """The prompt without padding, one class at a time, straight through transformers."""
    import transformers

    model = transformers.AutoModel.from_pretrained(bert).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(bert)
    names = ['riding a bike', 'jumping']
    prompts = make(LanguageModelEncoder(bert).tower(), names, num_context=3, class_position=class_position)
    context = torch.randn(3, 16, requires_grad=True)
    probe = torch.randn(2, 16)
    rows = prompts.encode(context)
    (rows * probe).sum().backward()
    got, context.grad = context.grad, None
    expected = []
    for name in names:
        ids = tokenizer(name + '.', return_tensors='pt')['input_ids']
        words = model.embeddings.word_embeddings(ids)[0]
        n = len(name.split())
        before = dict(end=3, middle=1, front=0)[class_position]
        parts = [words[:1], context[:before], words[1 : 1 + n], context[before:], words[1 + n :]]
        expected.append(model(inputs_embeds=torch.cat(parts)[None]).last_hidden_state[0].mean(0))
    expected = torch.stack(expected)
    (expected * probe).sum().backward()
    torch.testing.assert_close(rows, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(got, context.grad, rtol=1e-4, atol=1e-5)


def source(**changes):
    options = dict(num_context=M, class_specific=False, class_position='end', suffix='.')
    return PromptSource(TextClassifier(NAMES, CLIPTextEncoder(TINY_VIT)), **dict(options, **changes))


def test_source_says_that_the_prompt_was_learned():
    assert source().templates == ('[V1] [V2] [V3] [V4] {}.',)
    assert source(class_position='middle', num_context=3, suffix='').templates == ('[V1] {} [V2] [V3]',)
    assert source(class_position='front', num_context=1).templates == ('{} [V1].',)
    assert source().encoder_id == CLIPTextEncoder(TINY_VIT).encoder_id + '/learned-prompt'
    assert source(class_specific=True).encoder_id.endswith('/learned-class-prompts')


def test_source_builds_unit_rows_undisturbed():
    context = torch.randn(M, W, requires_grad=True)
    one, other = source(), source()
    plain = one.build(context, NAMES)
    with torch.autocast('cpu', dtype=torch.bfloat16), torch.inference_mode():
        disturbed = other.build(context, NAMES)
    torch.testing.assert_close(plain.weight, disturbed.weight, rtol=0, atol=0)
    expected = torch.nn.functional.normalize(coop(one.prompts(NAMES).tower.model, context, 'end'), dim=-1)
    torch.testing.assert_close(plain.weight, expected.detach(), rtol=1e-5, atol=1e-5)
    other.prompts(NAMES).encode(context).sum().backward()  # nothing is left that training could not use
    assert context.grad.any()


def test_source_loads_the_tower_once_and_for_all_copies(monkeypatch):
    loads = []
    real = CLIPTextEncoder.tower
    monkeypatch.setattr(CLIPTextEncoder, 'tower', lambda self: loads.append(1) or real(self))
    one = source()
    copied = copy.deepcopy(dict(source=one))['source']
    assert not loads
    first = one.prompts(NAMES)
    assert copied.prompts(NAMES) is first
    assert one.prompts(['other', 'names']).tower is first.tower
    assert len(loads) == 1


def test_source_errors():
    options = dict(num_context=M, class_specific=False, class_position='end', suffix='.')
    with pytest.raises(UserError, match=r'read by a text tower: .* got FixedSource'):
        PromptSource(FixedSource(), **options)

    class Bare:
        def encode(self, texts):
            """No tower."""

    with pytest.raises(UserError, match='encoder such as CLIPTextEncoder'):
        PromptSource(TextClassifier(NAMES, Bare()), **options)
    with pytest.raises(UserError, match=r"Unknown class_position='ende'.*Did you mean: end"):
        source(class_position='ende')
