"""Class embeddings out of configs, bundles and checkpoints; choosing classes."""

import pickle

import pytest
import torch
from mmengine.config import Config
from tiny import FixedSource

from textxfer_mm.analysis.class_embeddings import (
    ClassEmbeddings,
    choose_classes,
    load_class_embeddings,
    select_rows,
    with_names,
)
from textxfer_mm.classifiers.class_rows import ClassRows
from textxfer_mm.classifiers.drawn import RandomClassifier
from textxfer_mm.errors import UserError
from textxfer_mm.layers.named_modules import NamedModules
from textxfer_mm.registry import MODELS

NAMES = ['abseiling', 'air drumming', 'Playing Guitar', 'playing harp']
SOURCE = dict(type='RandomClassifier', class_names=NAMES, embed_dims=6, seed=3)


@pytest.fixture
def expected():
    return RandomClassifier(NAMES, 6, seed=3).build().weight


def save(path, **state):
    torch.save(dict(state_dict=state), path)
    return path


def test_config(tmp_path, expected):
    Config(dict(model=dict(cls_head=dict(type='TextEmbeddingHead', classifier=SOURCE)))).dump(tmp_path / 'c.py')
    found = load_class_embeddings(tmp_path / 'c.py')
    assert found.class_names == tuple(NAMES)
    assert torch.equal(found.weight, expected)


def test_bundle(tmp_path, expected):
    RandomClassifier(NAMES, 6, seed=3).build().save(tmp_path / 'b.safetensors')
    found = load_class_embeddings(tmp_path / 'b.safetensors')
    assert found.class_names == tuple(NAMES)
    assert torch.equal(found.weight, expected)


@pytest.mark.parametrize('frozen', [True, False])
@pytest.mark.parametrize('prefix', ['cls_head.', 'module.cls_head.'])
def test_checkpoint_of_a_text_head(tmp_path, expected, frozen, prefix):
    head = MODELS.build(dict(type='TextEmbeddingHead', in_channels=6, classifier=SOURCE, frozen=frozen))
    head.init_weights()
    state = {prefix + key: value for key, value in head.state_dict().items()}
    found = load_class_embeddings(save(tmp_path / 'c.pth', **state, **{'backbone.fc.weight': torch.zeros(3, 3)}))
    assert found.class_names == tuple(NAMES)
    assert torch.equal(found.weight, expected)


@pytest.mark.parametrize(
    'key',
    ['cls_head.fc_cls.weight', 'cls_head.fc.weight', 'module.cls_head.fc_cls.weight', 'head.fc.weight', 'fc.weight'],
)
def test_checkpoint_of_a_learned_linear_head(tmp_path, key):
    rows = torch.randn(4, 6)
    other = {'backbone.conv1.weight': torch.zeros(4, 6, 3, 3), 'backbone.layers.fc.weights': torch.zeros(4, 6)}
    found = load_class_embeddings(save(tmp_path / 'c.pth', **{key: rows, **other}))
    assert found.class_names == ()
    assert torch.equal(found.weight, rows)


def test_the_head_comes_before_the_backbone(tmp_path):
    rows = torch.randn(4, 6)
    path = save(tmp_path / 'c.pth', **{'backbone.se.fc.weight': torch.zeros(2, 2), 'cls_head.fc_cls.weight': rows})
    assert torch.equal(load_class_embeddings(path).weight, rows)


def test_convolutional_heads_are_matrices(tmp_path):
    rows = torch.randn(4, 6, 1, 1)
    found = load_class_embeddings(save(tmp_path / 'c.pth', **{'cls_head.fc.weight': rows}))
    assert torch.equal(found.weight, rows[..., 0, 0])


def test_key(tmp_path):
    rows = torch.randn(4, 6)
    path = save(tmp_path / 'c.pth', **{'cls_head.last.weight': rows, 'cls_head.fc.weight': torch.zeros(2, 2)})
    assert torch.equal(load_class_embeddings(path, key='cls_head.last.weight').weight, rows)


def test_damaged_rows_of_another_classifier_do_not_matter(tmp_path):
    state, rows = two_class_rows(), torch.randn(4, 6)
    names = load_class_embeddings(save(tmp_path / 'b.pth', **state), key='cls_head.b.weight').class_names
    state['cls_head.a.weight'][0, 0] = float('nan')
    path = save(tmp_path / 'c.pth', **state, **{'cls_head.fc.weight': rows})
    found = load_class_embeddings(path, key='cls_head.b.weight')
    assert torch.equal(found.weight, state['cls_head.b.weight'])
    assert found.class_names == names == FixedSource().class_names
    assert torch.equal(load_class_embeddings(path, key='cls_head.fc.weight').weight, rows)
    with pytest.raises(UserError, match=r'are zero or not finite: they recognise nothing\. Did its training diverge'):
        load_class_embeddings(path, key='cls_head.a.weight')


def test_rows_that_were_never_made_are_no_classifier(tmp_path):
    state = {f'cls_head.class_rows.{key}': value for key, value in ClassRows(FixedSource()).state_dict().items()}
    with pytest.raises(UserError, match='holds no classifier known by its name'):
        load_class_embeddings(save(tmp_path / 'c.pth', **state))


def two_class_rows():
    """The state of a head with the rows of two datasets."""
    head = NamedModules({name: ClassRows(FixedSource()) for name in 'ab'})
    for _, rows in head.items():
        rows.fill()
    return {f'cls_head.{key}': value for key, value in head.state_dict().items()}


@pytest.mark.parametrize(
    ('state', 'key', 'message'),
    [
        ({'a.bias': torch.zeros(2)}, None, 'holds no classifier known by its name; give its weight with --key'),
        ({'cls_head.last.weight': torch.zeros(2, 2)}, None, 'with --key.*cls_head.last.weight'),
        ({'cls_head.fc.weight': torch.zeros(2, 2)}, 'cls_head.fv.weight', 'Did you mean: cls_head.fc.weight'),
        (
            two_class_rows(),
            None,
            'several classifiers: cls_head.a.weight, cls_head.b.weight. Choose one with --key',
        ),
    ],
)
def test_checkpoints_whose_classifier_is_not_clear(tmp_path, state, key, message):
    with pytest.raises(UserError, match=message):
        load_class_embeddings(save(tmp_path / 'c.pth', **state), key=key)


def test_files_that_are_none_of_these(tmp_path):
    for name, message in (('x.pth', 'does not exist'), ('x.py', 'does not exist'), ('x.safetensors', 'not found')):
        with pytest.raises(UserError, match=message):
            load_class_embeddings(tmp_path / name)
    (tmp_path / 'evil.pth').write_bytes(pickle.dumps(print))
    with pytest.raises(UserError, match=r'not a checkpoint|was refused'):
        load_class_embeddings(tmp_path / 'evil.pth')
    Config(dict(model=dict(cls_head=dict(type='TSNHead')))).dump(tmp_path / 'stock.py')
    with pytest.raises(UserError, match=r'TSNHead.* has no classifier source.*Give a checkpoint'):
        load_class_embeddings(tmp_path / 'stock.py')


def embeddings(names, rows=None, origin='here'):
    return ClassEmbeddings(torch.eye(4) if rows is None else rows, tuple(names), origin)


def test_nameless_classes_are_named_as_given_or_like_another():
    nameless, named = embeddings(()), embeddings(NAMES)
    assert [e.class_names for e in with_names([nameless, named], None)] == [tuple(NAMES)] * 2
    assert with_names([nameless], list('abcd'))[0].class_names == tuple('abcd')
    with pytest.raises(UserError, match=r'here holds 4 classes, but no names are known: .*--class-names'):
        with_names([nameless], None)
    with pytest.raises(UserError, match='holds 4 classes, but 2 names were given'):
        with_names([nameless], ['a', 'b'])


def test_choosing_by_name_and_index():
    assert choose_classes([embeddings(NAMES)], classes=['3', 'playing guitar', 'Playing Guitar', '0']) == (
        'playing harp',
        'Playing Guitar',
        'abseiling',
    )


def test_a_name_that_is_a_number():
    assert choose_classes([embeddings(['3', '2', '1', '0'])], classes=['0']) == ('0',)


def test_drawing_is_seeded_and_in_order_and_from_what_all_have():
    names = [f'c{i}' for i in range(50)]
    one = ClassEmbeddings(torch.zeros(50, 2), tuple(names), 'one')
    other = ClassEmbeddings(torch.zeros(30, 2), tuple(reversed(names[:30])), 'other')
    drawn = choose_classes([one, other], num=10, seed=1)
    assert drawn == choose_classes([one, other], num=10, seed=1) != choose_classes([one, other], num=10, seed=2)
    assert list(drawn) == sorted(drawn, key=names.index)
    assert set(drawn) <= set(names[:30])
    assert choose_classes([one, other]) == tuple(names[:30])


def test_rows_follow_the_names():
    rows = torch.arange(8.0).view(4, 2)
    assert select_rows(embeddings(NAMES, rows), ['playing harp', 'abseiling']).tolist() == [[6, 7], [0, 1]]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(classes=['playing gitar']), "no class 'playing gitar'. Did you mean: Playing Guitar"),
        (dict(classes=['4']), 'the classes 0 to 3, not 4'),
        (dict(num=5), '5 classes cannot be drawn from the 4'),
        (dict(num=0), '0 classes cannot be drawn'),
    ],
)
def test_classes_that_there_are_not(arguments, message):
    with pytest.raises(UserError, match=message):
        choose_classes([embeddings(NAMES)], **arguments)


def test_rows_of_a_training_that_diverged():
    rows = torch.eye(4)
    rows[2, 1] = float('nan')
    assert select_rows(embeddings(NAMES, rows), NAMES[:2]).shape == (2, 4)
    with pytest.raises(
        UserError, match=r'here holds NaN or infinite numbers for Playing Guitar: did its training diverge'
    ):
        select_rows(embeddings(NAMES, rows), NAMES)


def test_classifiers_without_a_common_class():
    with pytest.raises(UserError, match='here and there have no class name in common'):
        choose_classes([embeddings(NAMES), embeddings(list('abcd'), origin='there')])
    with pytest.raises(UserError, match="there has no class 'abseiling'"):
        select_rows(embeddings(list('abcd'), origin='there'), ['abseiling'])
