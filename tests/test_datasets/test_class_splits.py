"""Splits of classes, against NumPy's global generator and by hand, and the lists that come with the package."""

import numpy as np
import pytest

from textxfer_mm.datasets.class_splits import (
    base_to_novel_split,
    draw_classes,
    half_class_split,
    other_classes,
    split_classes,
)
from textxfer_mm.errors import UserError
from textxfer_mm.text.class_names import list_datasets, load_class_names


@pytest.mark.parametrize('num_classes', [2, 51, 101, 200, 400])
def test_halves_are_those_of_the_authors_code(num_classes):
    for seed in range(10):
        np.random.seed(seed)
        classes = np.random.permutation(num_classes)[: num_classes // 2]
        np.random.seed(99)
        state = np.random.get_state()[1].copy()
        assert half_class_split(num_classes, seed) == np.sort(classes).tolist()
        assert (np.random.get_state()[1] == state).all()


def test_a_half_by_hand():
    """NumPy's documented stream: RandomState(0).permutation(5) is 2 0 1 3 4."""
    assert half_class_split(5, 0) == [0, 2]
    assert all(type(label) is int for label in half_class_split(5, 0))


def test_draws():
    assert set(draw_classes(50, 10, 3)) < set(draw_classes(50, 20, 3))
    assert draw_classes(50, 50, 3) == list(range(50))
    drawn, others = split_classes(50, 20, 7)
    assert drawn == draw_classes(50, 20, 7)
    assert sorted(drawn + others) == list(range(50))
    assert split_classes(50, 20, 8)[0] != drawn
    assert other_classes(4, [2, 0]) == [1, 3]


def test_base_to_novel():
    assert base_to_novel_split(5) == ([0, 1, 2], [3, 4])
    assert base_to_novel_split(4, [1, 5, 5, 9]) == ([1, 3], [0, 2])  # of equals the first


def test_the_lists_of_our_split():
    names = load_class_names('kinetics400')
    seen, unseen = (load_class_names(name) for name in ('kinetics400_seen300', 'kinetics400_unseen100'))
    assert [tuple(names[label] for label in part) for part in split_classes(400, 300, seed=0)] == [seen, unseen]
    assert {'kinetics400_seen300', 'kinetics400_unseen100'} <= set(list_datasets())


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda: half_class_split(1, 0), 'num_classes of a split of classes is a whole number from 2 on; got 1'),
        (lambda: half_class_split(4, -1), 'seed of a split of classes is a whole number from 0 on; got -1'),
        (lambda: half_class_split(4, 2**32), r'below 2\*\*32; got 4294967296'),
        (lambda: half_class_split(4.0, 0), r'got 4\.0'),
        (lambda: draw_classes(4, 5, 0), '5 classes were asked for, and there are 4'),
        (lambda: draw_classes(4, 0, 0), 'count of a split of classes is a whole number from 1 on; got 0'),
        (lambda: split_classes(4, 4, 0), 'All 4 classes were asked for, so that none is left'),
        (lambda: base_to_novel_split(3, [1, 2]), '2 numbers of videos were given for 3 classes'),
    ],
)
def test_mistakes(call, message):
    with pytest.raises(UserError, match=message):
        call()
