"""Classifiers with glosses: against naive references, in files and checkpoints, and for names that are not distinct."""

import hashlib
import json
import logging

import pytest
import torch
from safetensors.torch import save_file
from tiny import TINY_VIT
from torch.nn.functional import normalize

from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.classifiers.class_rows import ClassRows
from textxfer_mm.classifiers.distinct import require_distinct
from textxfer_mm.classifiers.prompt_rows import PromptRows
from textxfer_mm.classifiers.sources import FileClassifier, TextClassifier
from textxfer_mm.classifiers.template_rows import TemplateRows
from textxfer_mm.classifiers.tower_rows import TowerRows
from textxfer_mm.errors import UserError
from textxfer_mm.text.clip_encoder import CLIPTextEncoder
from textxfer_mm.text.encoding import isolated

NAMES = ['waving', 'playing guitar', 'crane']
GLOSSES = {'waving': 'move the hand', 'playing guitar': ['make music', 'strum', 'pluck strings'], 'crane': None}
TEMPLATES = ['a video of {}.', '{}']
#: What the classes are encoded as, by hand.
PROMPTS = [
    ['a video of waving. move the hand', 'waving move the hand'],
    [
        *('a video of playing guitar. make music', 'a video of playing guitar. strum'),
        *('a video of playing guitar. pluck strings', 'playing guitar make music', 'playing guitar strum'),
        'playing guitar pluck strings',
    ],
    ['a video of crane.', 'crane'],
]


def source(names=NAMES, templates=TEMPLATES, glosses=GLOSSES, **options):
    return TextClassifier(list(names), CLIPTextEncoder(TINY_VIT), templates, glosses=glosses, **options)


def naive(encode, prompts=PROMPTS):
    """Normalise, mean, normalise, class by class."""
    return torch.stack([normalize(normalize(encode(own), dim=1).mean(dim=0), dim=0) for own in prompts])


def test_rows_are_the_naive_ones():
    encoder = CLIPTextEncoder(TINY_VIT)
    made = source().build()
    torch.testing.assert_close(made.weight, naive(encoder.encode), rtol=0, atol=1e-6)
    assert made.glosses == (('move the hand',), ('make music', 'strum', 'pluck strings'), ())
    bare = source(glosses=None).build()
    assert (bare.weight[:2] - made.weight[:2]).abs().amax() > 1e-3
    torch.testing.assert_close(bare.weight[2], made.weight[2], rtol=0, atol=1e-6)


def test_rows_of_single_templates():
    """Of each template alone; senses are averaged in it."""
    encoder = CLIPTextEncoder(TINY_VIT)
    found = source().embeddings(TEMPLATES)
    for m in range(2):
        prompts = [own[m * len(own) // 2 : (m + 1) * len(own) // 2] for own in PROMPTS]
        torch.testing.assert_close(found[m], naive(encoder.encode, prompts), rtol=0, atol=1e-6)
    rows = TemplateRows(source(), TEMPLATES, seed=0)
    torch.testing.assert_close(rows.training_rows(), found[TemplateRows(source(), TEMPLATES, seed=0).draw()])


@pytest.mark.parametrize('chunk_size', [None, 2])
@pytest.mark.parametrize('classes', [None, [1], [2, 1, 1]])
def test_a_trained_tower_against_the_naive_computation(classes, chunk_size):
    """Rows and the gradient of every weight, also of some of the classes."""
    rows = TowerRows(source(), chunk_size=chunk_size)
    direction = torch.randn(3 if classes is None else len(classes), 32, generator=torch.Generator().manual_seed(0))
    got = rows.training_rows(None if classes is None else torch.tensor(classes))
    (got * direction).sum().backward()
    gradients = {name: p.grad.clone() for name, p in rows.tower.named_parameters() if p.grad is not None}
    rows.tower.zero_grad()
    chosen = [PROMPTS[k] for k in (range(3) if classes is None else classes)]
    encode = rows.tower
    want = torch.stack([normalize(encode(encode.tokenize(own)), dim=1).mean(dim=0) for own in chosen])
    (want * direction).sum().backward()
    torch.testing.assert_close(got, want, rtol=0, atol=1e-6)
    assert gradients
    for name, p in rows.tower.named_parameters():
        if p.grad is not None:
            torch.testing.assert_close(gradients[name], p.grad, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(rows.bundle().weight, source().build().weight, rtol=0, atol=1e-6)
    assert rows.bundle().glosses == source().glosses


@pytest.mark.parametrize('class_specific', [False, True])
def test_learned_prompts_end_in_glosses(class_specific):
    rows = PromptRows(source(), num_context=2, class_specific=class_specific)
    got = rows.training_rows()
    got.sum().backward()
    assert rows.context.grad.abs().sum() > 0
    tower = CLIPTextEncoder(TINY_VIT).tower()
    texts = [['waving. move the hand'], [f'playing guitar. {g}' for g in GLOSSES['playing guitar']], ['crane.']]
    want = []
    for k, own in enumerate(texts):
        vectors = []
        for text in own:
            ids = tower.tokenize([text])
            context = rows.context[k] if class_specific else rows.context
            words = tower.token_embedding(ids)[0]
            joined = torch.cat([words[:1], context, words[1:]])[None]
            padded = torch.cat([torch.zeros(1, 2, dtype=ids.dtype), ids], dim=1)
            vectors.append(normalize(tower.forward_embeddings(joined, padded)[0], dim=0))
        want.append(torch.stack(vectors).mean(dim=0))
    torch.testing.assert_close(got, torch.stack(want), rtol=0, atol=1e-5)
    assert rows.bundle().glosses == source().glosses


def test_glosses_are_part_of_the_cache_key():
    keys = [
        source(glosses=given).cache_key()
        for given in (None, GLOSSES, {**GLOSSES, 'crane': 'a bird'}, {**GLOSSES, 'waving': 'move a hand'})
    ]
    assert len(set(keys)) == 4
    assert source(glosses=dict(reversed(GLOSSES.items()))).cache_key() == keys[1]


def test_a_required_gloss_that_is_missing():
    with pytest.raises(UserError, match='1 of 3 classes have no gloss in the given table, and one is required: crane'):
        source(require_glosses=True)


class TestBundle:
    def test_round_trip(self, tmp_path):
        made = source().build()
        loaded = ClassifierBundle.load(made.save(tmp_path / 'c.safetensors'))
        assert loaded.glosses == made.glosses
        assert loaded.fingerprint == made.fingerprint
        assert FileClassifier(tmp_path / 'c.safetensors').glosses == made.glosses
        other = ClassifierBundle(made.weight, made.class_names, made.templates, made.encoder_id)
        assert other.fingerprint != made.fingerprint

    def test_a_file_from_before_there_were_glosses(self, tmp_path):
        weight = torch.eye(2)
        metadata = dict(format_version=1, class_names=['a', 'b'], templates=['{}'], encoder_id='x')
        digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
        digest.update(repr((2, 2)).encode())
        digest.update(weight.numpy().tobytes())
        header = dict(textxfer_mm=json.dumps(metadata), sha256=digest.hexdigest())
        save_file(dict(weight=weight), tmp_path / 'old.safetensors', metadata=header)
        loaded = ClassifierBundle.load(tmp_path / 'old.safetensors')
        assert (loaded.class_names, loaded.glosses) == (('a', 'b'), ())
        assert loaded.metadata()['format_version'] == 2

    @pytest.mark.parametrize(
        ('glosses', 'message'),
        [((('a',),), '2 classes cannot have glosses of 1'), ((('a',), ('',)), 'glosses of a classifier are non-empty')],
    )
    def test_what_does_not_fit(self, glosses, message):
        with pytest.raises(UserError, match=message):
            ClassifierBundle(torch.eye(2), ('a', 'b'), ('{}',), 'x', glosses)


class TestCheckpoint:
    def test_the_same_glosses_need_no_encoder(self, monkeypatch):
        held = ClassRows(source())
        held.init_weights()
        rows = ClassRows(source())
        monkeypatch.setattr(CLIPTextEncoder, 'encode', None)
        rows.load_state_dict(held.state_dict())
        torch.testing.assert_close(rows.testing_rows(), held.weight)
        assert rows.glosses == held.glosses

    @pytest.mark.parametrize('given', [None, {**GLOSSES, 'waving': 'move a hand'}])
    def test_other_glosses_replace_the_rows_and_say_so(self, given, caplog):
        held = ClassRows(source())
        held.init_weights()
        rows = ClassRows(source(glosses=given))
        with caplog.at_level(logging.INFO):
            rows.load_state_dict(held.state_dict())
            torch.testing.assert_close(rows.testing_rows(), source(glosses=given).build().weight)
        assert 'glosses: move the hand, make music; strum; pluck strings, -) is replaced by the config' in caplog.text
        assert rows.glosses == source(glosses=given).glosses

    def test_a_checkpoint_from_before_there_were_glosses(self):
        held = ClassRows(source(glosses=None))
        held.init_weights()
        state = held.state_dict()
        metadata = json.loads(bytes(state['_extra_state'].tolist()).decode())
        assert metadata.pop('glosses') == []
        state['_extra_state'] = torch.tensor(list(json.dumps(metadata).encode()), dtype=torch.uint8)
        rows = ClassRows(source(glosses=None))
        rows.load_state_dict(state)
        assert rows.is_filled
        assert rows.glosses == ()

    def test_a_gloss_file_that_is_not_here(self, tmp_path, caplog):
        file = tmp_path / 'glosses.json'
        file.write_text(json.dumps(GLOSSES))
        held = ClassRows(source(glosses=str(file)))
        held.init_weights()
        file.unlink()
        rows = ClassRows(source(glosses=str(file)))
        with caplog.at_level(logging.WARNING):
            rows.load_state_dict(held.state_dict())
        torch.testing.assert_close(rows.testing_rows(), held.weight)
        assert rows.glosses == held.glosses
        assert "The config's glosses are not at hand here; the checkpoint's are used." in caplog.text
        with pytest.raises(UserError, match='File of glosses not found'):
            ClassRows(source(glosses=str(file))).init_weights()


class TestNamesThatAreNotDistinct:
    def test_glosses_tell_them_apart(self):
        made = source(['crane', 'Crane'], glosses=['a large wading bird', 'a machine that lifts']).build()
        assert made.class_names == ('crane', 'Crane')
        require_distinct(made, CLIPTextEncoder(TINY_VIT))
        assert made.weight[0] @ made.weight[1] < 0.999

    @pytest.mark.parametrize('glosses', [['a bird', 'A bird.'], ['a bird', None, None], [None, None]])
    def test_or_they_are_refused(self, glosses):
        names = ['crane', 'Crane', 'dog'][: len(glosses)]
        if glosses == ['a bird', None, None]:  # one with and one without are two
            assert source(names, glosses=glosses).build().num_classes == 3
            return
        with pytest.raises(UserError, match=r"Duplicate class names.*'crane' \(class 0\) and 'Crane' \(class 1\)"):
            source(names, glosses=glosses)

    def test_without_glosses_the_cure_is_named(self):
        with pytest.raises(UserError, match='Rename or merge them, or give glosses that tell them apart'):
            source(['crane', 'Crane'], glosses=None)

    def test_names_of_a_file(self, tmp_path):
        (tmp_path / 'names.txt').write_text('crane\ncrane\n')
        (tmp_path / 'g.csv').write_text('label,name,gloss\n0,crane,a bird\n1,crane,a machine\n')
        options = dict(glosses=tmp_path / 'g.csv')
        found = TextClassifier(str(tmp_path / 'names.txt'), CLIPTextEncoder(TINY_VIT), **options)
        assert found.glosses == (('a bird',), ('a machine',))
        (tmp_path / 'g.csv').write_text('label,name,gloss\n0,crane,a bird\n1,crane,a bird\n')
        with pytest.raises(UserError, match='whose glosses do not tell them apart either'):
            _ = TextClassifier(str(tmp_path / 'names.txt'), CLIPTextEncoder(TINY_VIT), **options).class_names

    def test_a_gloss_counts_where_the_name_is_unknown(self):
        class English:
            def unknown(self, texts):
                return [0.0 if any(word.isascii() for word in text.split()) else 1.0 for text in texts]

        rows, names = torch.eye(2), ('挥手', '拍手')
        with pytest.raises(UserError, match='it knows no part of'):
            require_distinct(ClassifierBundle(rows, names, ('{}',), 'x'), English())
        require_distinct(ClassifierBundle(rows, names, ('{}',), 'x', (('wave',), ('clap',))), English())


def test_the_two_missiles_of_imagenet_differ():
    """Two names of ImageNet occur twice; its ids, and so the shipped glosses, tell them apart."""
    found = TextClassifier('imagenet1k', CLIPTextEncoder(TINY_VIT), '{}', glosses='imagenet1k')
    doubles = [k for k, name in enumerate(found.class_names) if found.class_names.count(name) > 1]
    assert len(doubles) == 4
    assert len({found.glosses[k] for k in doubles}) == 4
    with isolated():
        assert found.glosses[0] == (
            'freshwater dace-like game fish of Europe and western Asia noted for ability to survive outside water',
        )
