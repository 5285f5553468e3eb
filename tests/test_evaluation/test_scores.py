"""What is read off scores, against naive references and MMAction2's functions."""

import numpy as np
import pytest
from mmaction.evaluation import confusion_matrix, top_k_accuracy

from textxfer_mm.evaluation.scores import Scores, join

ALL = tuple(f'class {number}' for number in range(21))


def scores(labels, seed=0):
    values = np.random.default_rng(seed).random((len(labels), len(ALL)))
    return Scores(values, np.asarray(labels), ALL)


def test_top_k_against_a_naive_reference():
    part = scores(np.arange(21).repeat(10))
    for k in (1, 5):
        rows = zip(part.values, part.labels, strict=True)
        hits = [label in sorted(range(21), key=lambda c: -row[c])[:k] for row, label in rows]
        assert part.top(k) == pytest.approx(np.mean(hits))


def test_among_drops_other_videos_and_other_columns():
    part = scores(np.arange(21).repeat(3))
    pair = part.among(('class 1', 'class 5'))
    assert pair.class_names == ('class 1', 'class 5')
    assert pair.labels.tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_array_equal(pair.values[4], part.values[16, [1, 5]])


def test_top1_of_keeps_the_columns_of_all_classes():
    part = scores(np.arange(21).repeat(4), seed=2)
    names = ('class 1', 'class 5')
    hits = [row.argmax() == label for row, label in zip(part.values, part.labels, strict=True) if label in (1, 5)]
    assert part.top1_of(names) == pytest.approx(np.mean(hits))


def test_confusion_counts_true_classes_in_rows():
    values = np.eye(21)[[3, 3, 7]]
    counts = Scores(values, np.array([3, 7, 7]), ALL).confusion()
    assert counts.shape == (21, 21)
    assert (counts[3, 3], counts[7, 3], counts[7, 7], counts.sum()) == (1, 1, 1, 3)


def test_join_puts_unseen_labels_behind_seen_ones():
    both = join(scores([0, 16]), scores([0, 3], seed=1), 17)
    assert both.labels.tolist() == [0, 16, 17, 20]
    assert both.values.shape == (4, 21)


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
@pytest.mark.parametrize('levels', [2, 5, None])
def test_the_numbers_are_those_of_mmaction_also_where_scores_are_equal(levels, dtype):
    rng = np.random.default_rng(4)
    values = rng.random((200, 21)) if levels is None else rng.integers(0, levels, (200, 21)) / levels
    values = values.astype(dtype)
    part = Scores(values, rng.integers(0, 21, 200), ALL)
    for k in (1, 5, 21):
        assert part.top(k) == top_k_accuracy(list(values), part.labels.tolist(), (k,))[0]
    named = np.concatenate([np.eye(21)[part.labels], values])  # all classes occur, which MMAction2 leaves out else
    every = Scores(named, np.concatenate([part.labels, part.labels]), ALL)
    np.testing.assert_array_equal(every.confusion(), confusion_matrix(named.argmax(1), every.labels))


def test_confusion_of_classes_that_do_not_occur():
    counts = Scores(np.eye(21)[[0, 2]], np.array([0, 0]), ALL).confusion()
    assert counts.shape == (21, 21)
    assert counts.dtype.kind == 'i'
    assert (counts[0, 0], counts[0, 2], counts.sum()) == (1, 1, 2)
