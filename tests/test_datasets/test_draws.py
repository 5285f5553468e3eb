import numpy as np
import pytest

from textxfer_mm.datasets.draws import draw_per_class
from textxfer_mm.errors import UserError

LABELS = [2, 0, 0, 2, 2, 0, 1, 2, 1, 0, 0, 2]  # 5 x 0, 2 x 1, 5 x 2


def labels_of(indices):
    return sorted(LABELS[i] for i in indices)


def test_count():
    drawn = draw_per_class(LABELS, seed=0, count=2)
    assert labels_of(drawn) == [0, 0, 1, 1, 2, 2]
    assert drawn == sorted(set(drawn))
    assert all(type(index) is int for index in drawn)


def test_seeds():
    assert draw_per_class(LABELS, seed=3, count=2) == draw_per_class(LABELS, seed=3, count=2)
    assert len({tuple(draw_per_class(LABELS, seed=seed, count=2)) for seed in range(20)}) > 10


def test_the_draw_is_a_known_one():
    want = []
    for label in (0, 1, 2):
        members = [i for i, given in enumerate(LABELS) if given == label]
        want += [members[i] for i in np.random.default_rng([7, label]).permutation(len(members))[:2]]
    assert draw_per_class(LABELS, seed=7, count=2) == sorted(want)


def test_all_videos_are_as_likely():
    hits = np.zeros(5)
    for seed in range(2000):
        hits[draw_per_class([0] * 5, seed=seed, count=2)] += 1
    np.testing.assert_allclose(hits / 2000, 0.4, atol=0.05)  # standard deviation 0.011


def test_a_larger_draw_holds_the_smaller():
    assert set(draw_per_class([0] * 9, seed=1, count=3)) < set(draw_per_class([0] * 9, seed=1, count=5))


def test_other_classes_do_not_matter():
    alone = draw_per_class([1, 1, 1, 1], seed=4, count=2)
    assert draw_per_class([1, 1, 1, 1, 0, 0], seed=4, count=2)[:2] == alone


def test_the_global_state_is_left_alone():
    np.random.seed(0)
    want = np.random.rand()
    np.random.seed(0)
    draw_per_class(LABELS, seed=0, count=1)
    assert np.random.rand() == want


@pytest.mark.parametrize(('fraction', 'sizes'), [(0.01, [1, 1, 1]), (0.5, [3, 1, 3]), (0.3, [2, 1, 2]), (1, [5, 2, 5])])
def test_fraction(fraction, sizes):
    drawn = labels_of(draw_per_class(LABELS, seed=0, fraction=fraction))
    assert [drawn.count(label) for label in range(3)] == sizes


def test_arrays_and_nothing():
    assert draw_per_class(np.array(LABELS), seed=0, count=1) == draw_per_class(LABELS, seed=0, count=1)
    assert draw_per_class([], seed=0, count=1) == []


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(count=3), 'label 1 has 2'),
        (dict(count=3), '3 videos a class were asked for'),
        (dict(), 'either `count` or `fraction`'),
        (dict(count=1, fraction=0.5), 'either `count` or `fraction`'),
        (dict(count=0), 'at least 1; got 0'),
        (dict(count=1.5), 'at least 1; got 1.5'),
        (dict(fraction=0), 'above 0 and at most 1; got 0'),
        (dict(fraction=10), 'above 0 and at most 1; got 10'),
        (dict(fraction='half'), "above 0 and at most 1; got 'half'"),
        (dict(count=1, seed=-1), '`seed` is an integer that is not negative; got -1'),
        (dict(count=1, labels=[0, [1, 2]]), r'number 1 is \[1, 2\]'),
        (dict(count=1, labels=[-1]), 'number 0 is -1'),
    ],
)
def test_mistakes(arguments, message):
    with pytest.raises(UserError, match=message):
        draw_per_class(**{'labels': LABELS, 'seed': 0, **arguments})
