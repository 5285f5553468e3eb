"""Retrieval against a naive reference in loops: several captions an item, ties, blocks, and what is refused."""

import pytest
import torch

from textxfer_mm.errors import UserError
from textxfer_mm.evaluation.retrieval import retrieval_ranks, retrieval_recalls

ITEM_OF = torch.tensor([3, 0, 0, 1, 2, 2, 2, 4, 5, 5, 6, 6, 7, 8, 9, 10, 11, 11])


def drawn(dims=4, levels=None, seed=0):
    """12 items and 18 captions; few levels make many ties."""
    generator = torch.Generator().manual_seed(seed)
    items, captions = (torch.randn(n, dims, generator=generator) for n in (12, len(ITEM_OF)))
    captions = captions + items[ITEM_OF]
    if levels:
        items, captions = (torch.randint(1, levels, x.shape, generator=generator).float() for x in (items, captions))
    return items, captions


def naive(items, captions, item_of, k):
    """Sort with the worst order among equal scores, and look whether a right answer is among the first k."""
    scores = [[torch.cosine_similarity(i.double(), c.double(), dim=0).float().item() for c in captions] for i in items]
    owners = item_of.tolist()
    hits = {'item_to_text': [], 'text_to_item': []}
    for i in range(len(items)):
        order = sorted(range(len(captions)), key=lambda c: (-scores[i][c], owners[c] == i))
        hits['item_to_text'].append(any(owners[c] == i for c in order[:k]))
    for c in range(len(captions)):
        order = sorted(range(len(items)), key=lambda i: (-scores[i][c], owners[c] == i))
        hits['text_to_item'].append(owners[c] in order[:k])
    return {direction: sum(found) / len(found) for direction, found in hits.items()}


@pytest.mark.parametrize('levels', [None, 3])
@pytest.mark.parametrize('chunk_size', [1, 5, 256])
def test_against_a_naive_reference(levels, chunk_size):
    items, captions = drawn(levels=levels)
    found = retrieval_recalls(items, captions, ITEM_OF, chunk_size=chunk_size)
    assert len(found) == 6
    for k in (1, 5, 10):
        for direction, want in naive(items, captions, ITEM_OF, k).items():
            assert found[f'{direction}_r{k}'].value == pytest.approx(want), (direction, k)
    assert 0 < found['item_to_text_r5'].value < found['item_to_text_r10'].value


def test_ties_count_against_the_query():
    items, captions = drawn()
    other = captions.clone()
    other[8] = 2 * captions[0]  # a caption of item 5 is the text of item 3's
    own, tied = (retrieval_ranks(items, texts, ITEM_OF) for texts in (captions, other))
    assert tied[0][3] >= 1
    assert tied[0][3] == own[0][3] + 1  # one wrong caption more that is as similar
    twice = torch.cat([items, items[3:4]])  # two equal items, each with its caption
    _, to_item = retrieval_ranks(twice, torch.cat([captions, captions[:1]]), torch.cat([ITEM_OF, torch.tensor([12])]))
    assert to_item[0] >= 1
    assert to_item[-1] == to_item[0]


@pytest.mark.parametrize('dims', [7, 512])
@pytest.mark.parametrize('value', ['equal', 'zero'])
def test_a_constant_model_scores_0(dims, value):
    """Whatever the order of summation in blocks of unequal size is."""
    one = torch.randn(1, dims) * (value == 'equal')
    items, captions = one.expand(70, -1), -3 * one.expand(333, -1)
    found = retrieval_recalls(items, captions, torch.arange(333) % 70, chunk_size=32)
    assert {key: measure.value for key, measure in found.items()} == dict.fromkeys(found, 0.0)
    assert len(found) == 6


def test_a_perfect_model_scores_1():
    items = torch.eye(30)
    found = retrieval_recalls(items, 2 * items.repeat(5, 1), torch.arange(30).repeat(5))
    assert {measure.value for measure in found.values()} == {1.0}


def test_what_nothing_can_miss_is_left_out():
    """Three items: 10 of them are always all; 13 captions of others than the one with five: 10 of them can be wrong."""
    items, captions = torch.randn(4, 3), torch.randn(14, 3)
    item_of = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 0])
    found = retrieval_recalls(items, captions, item_of)
    assert set(found) == {'text_to_item_r1', 'item_to_text_r1', 'item_to_text_r5'}  # nine captions are not of item 0


def test_many_captions_in_any_order():
    """The blocks' arithmetic against one matrix."""
    generator = torch.Generator().manual_seed(0)
    items, item_of = torch.randn(700, 8, generator=generator), torch.arange(3500) // 5
    captions = items[item_of] + 0.5 * torch.randn(3500, 8, generator=generator)
    order = torch.randperm(3500, generator=generator)
    scores = torch.nn.functional.normalize(items, dim=1) @ torch.nn.functional.normalize(captions, dim=1).t()
    want = (scores.argmax(dim=0) == item_of).double().mean().item()
    for which in (slice(None), order):
        found = retrieval_recalls(items, captions[which], item_of[which])
        assert found['text_to_item_r1'].value == pytest.approx(want)
        assert 0.3 < want < found['text_to_item_r10'].value < 1


class TestErrors:
    @pytest.mark.parametrize(
        ('change', 'message'),
        [
            (dict(captions=torch.randn(18, 5)), r'these are \(12, 4\) and \(18, 5\)'),
            (
                dict(item_of=ITEM_OF[:5]),
                r'Each of 18 captions has the index of its item, got torch.int64 of shape \(5,\)',
            ),
            (dict(item_of=ITEM_OF.float()), 'got torch.float32'),
            (dict(item_of=ITEM_OF + 1), 'belongs to item 12, but there are items 0 to 11 only'),
            (dict(item_of=ITEM_OF - 1), 'belongs to item -1'),
            (dict(item_of=ITEM_OF.clamp(max=9)), '2 of 12 items have no caption: 10, 11'),
            (dict(items=torch.randn(1, 4), item_of=0 * ITEM_OF), 'tells items apart, and there are 1'),
            (dict(items=torch.full((12, 4), torch.nan)), r'of 12 of 12 items \(0, 1, 2.*\) are not finite'),
            (dict(captions=torch.full((18, 4), torch.inf)), 'of 18 of 18 captions'),
            (dict(ks=(0,)), r'whole numbers of at least 1; got \[0\]'),
            (dict(ks=()), r'got \[\]'),
        ],
    )
    def test_refused(self, change, message):
        items, captions = drawn()
        with pytest.raises(UserError, match=message):
            retrieval_recalls(**dict(items=items, captions=captions, item_of=ITEM_OF) | change)
