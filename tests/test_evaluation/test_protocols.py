"""Protocols against naive references, hand-computed cases and the functions of other libraries."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from mmaction.evaluation import mean_average_precision as mmaction_map
from sklearn.metrics import balanced_accuracy_score

from textxfer_mm.errors import UserError
from textxfer_mm.evaluation.class_splits import half_class_split
from textxfer_mm.evaluation.protocols import (
    base_to_novel,
    eleven_point_map,
    full_class,
    half_class,
    harmonic_mean,
    mean_average_precision,
    mean_class_accuracy,
    mean_over,
)
from textxfer_mm.evaluation.scores import Scores
from textxfer_mm.evaluation.view_logits import ViewLogits


def names(number):
    return tuple(f'class {index}' for index in range(number))


def drawn(classes=21, videos=200, views=1, average='feature', seed=0, **options):
    generator = torch.Generator().manual_seed(seed)
    values = 5 * torch.randn(videos, views, classes, generator=generator)
    labels = torch.randint(0, classes, (videos,), generator=generator)
    return ViewLogits(values, labels, names(classes), average, **options)


def naive_half(view_logits, seed):
    """Loop over the videos of the half's classes; the half's names alone are in the softmax of each view."""
    np.random.seed(seed)
    half = sorted(np.random.permutation(len(view_logits.class_names))[: len(view_logits.class_names) // 2].tolist())
    hits = {1: [], 5: []}
    for views, label in zip(view_logits.values.numpy().astype(float), view_logits.labels.tolist(), strict=True):
        if label not in half:
            continue
        rows = views[:, half]
        if view_logits.average == 'prob':
            rows = np.exp(rows) / np.exp(rows).sum(1, keepdims=True)
        ranked = np.argsort(-rows.mean(0)).tolist()
        for k in hits:
            hits[k].append(half.index(label) in ranked[:k])
    return {k: np.mean(hit) for k, hit in hits.items()}


@pytest.mark.parametrize(('views', 'average'), [(1, 'feature'), (4, 'prob'), (4, 'score')])
def test_half_class_against_a_loop(views, average):
    view_logits = drawn(views=views, average=average)
    want = [naive_half(view_logits, seed) for seed in range(10)]
    found = half_class(view_logits)
    for k in (1, 5):
        values = [part[k] for part in want]
        assert found[f'top{k}'].values == pytest.approx(values)
        assert found[f'top{k}'].value == pytest.approx(np.mean(values))
        assert found[f'top{k}'].std == pytest.approx(np.std(values))
    assert found['top1'].std > 0


def test_half_of_the_names_enter_the_softmax_of_each_view():
    """Video of class 0: among both names one view's confidence outweighs; a third name takes that confidence away."""
    views = torch.tensor([[[3.0, 0.0, 20.0], [0.0, 1.0, -9.0]]])
    three = ViewLogits(views, torch.tensor([0]), names(3), 'prob')
    assert three.of_classes([0, 1]).top(1) == 1
    assert Scores(three.scores().values, np.array([0]), names(3)).of_classes([0, 1]).top(1) == 0


def test_view_averages_differ_and_are_the_heads():
    values = torch.tensor([[[4.0, 0.0, 1.0], [-3.0, 2.0, 1.0]]])
    prob, score = (ViewLogits(values, torch.tensor([0]), names(3), kind).scores().values for kind in ('prob', 'score'))
    np.testing.assert_allclose(prob, values.softmax(-1).mean(1), atol=1e-6)
    np.testing.assert_allclose(score, [[0.5, 1.0, 1.0]])
    assert prob.argmax() != score.argmax()
    sigmoid = ViewLogits(values, torch.tensor([[1, 0, 1]]), names(3), 'prob', multi_class=True).scores().values
    np.testing.assert_allclose(sigmoid, values.sigmoid().mean(1), atol=1e-6)
    with pytest.raises(UserError, match=r"feature, prob, score, got 'max'"):
        ViewLogits(values, torch.tensor([0]), names(3), 'max')


@pytest.mark.parametrize('average', ['feature', 'prob', 'score'])
def test_one_row_of_logits_a_video_gives_its_probabilities(average):
    made = drawn(views=1 if average == 'feature' else 3, average=average)
    want = made.scores().values if average != 'score' else made.values.mean(1).softmax(-1).numpy()
    np.testing.assert_allclose(made.logits().softmax(-1), want, atol=1e-6)


def test_full_class():
    scores = drawn().scores()
    ranks = (-scores.values).argsort(1)
    for k in (1, 5):
        want = np.mean([label in row[:k] for row, label in zip(ranks, scores.labels, strict=True)])
        assert full_class(scores)[f'top{k}'].value == pytest.approx(want)
    assert set(full_class(drawn(classes=5).scores())) == {'top1'}  # five of five are always right


def test_mean_class_accuracy_by_hand():
    """Class 0: 2 of 3, class 1: 0 of 1, class 2 has no video but is predicted, class 3 neither."""
    values = np.eye(4)[[0, 0, 2, 2]]
    scores = Scores(values, np.array([0, 0, 0, 1]), names(4))
    assert mean_class_accuracy(scores)['mean_class'].value == pytest.approx((2 / 3 + 0) / 2)


def test_mean_class_accuracy_against_scikit_learn():
    scores = drawn(videos=60).scores()
    want = balanced_accuracy_score(scores.labels, scores.values.argmax(1))
    assert mean_class_accuracy(scores)['mean_class'].value == pytest.approx(want)


def test_map_by_hand():
    """Class 0: positives at ranks 1 and 3: (1 + 2/3) / 2; class 1: at rank 2: 1/2; class 2 has no video."""
    values = np.array([[0.9, 0.5, 0.1], [0.8, 0.7, 0.2], [0.7, 0.1, 0.3], [0.1, 0.2, 0.4]])
    labels = np.array([[1, 1, 0], [0, 0, 0], [1, 0, 0], [0, 0, 0]])
    found = mean_average_precision(Scores(values, labels, names(3)))['map'].value
    assert found == pytest.approx(((1 + 2 / 3) / 2 + 1 / 2) / 2)


@pytest.mark.parametrize('levels', [None, 4])
@pytest.mark.parametrize('several', [True, False])
def test_map_is_that_of_mmaction_also_where_scores_are_equal(levels, several):
    rng = np.random.default_rng(1)
    values = rng.random((80, 9)).astype(np.float32)
    if levels:
        values = np.round(values * levels) / levels
    single = rng.integers(0, 8, 80)  # class 8 has no video
    one_hot = np.eye(9, dtype=int)[single]
    labels = one_hot | (rng.random((80, 9)) < 0.2) * (np.arange(9) < 8) if several else one_hot
    found = mean_average_precision(Scores(values, labels if several else single, names(9)))['map'].value
    assert found == pytest.approx(mmaction_map(list(values), list(labels)), abs=1e-12)


def naive_eleven_points(truth, scores):
    """Precision and recall at every threshold, then the best precision at each recall or more, in exact fractions."""
    points = []
    for threshold in set(scores):
        found = [right for right, score in zip(truth, scores, strict=True) if score >= threshold]
        points.append((Fraction(sum(found), sum(truth)), Fraction(sum(found), len(found))))
    return sum(max(p for r, p in points if r >= Fraction(level, 10)) for level in range(11)) / 11


def test_eleven_point_map_by_hand():
    """Positives at ranks 1 and 3: recall 0 to 0.5 with precision 1 (6 levels), 0.6 to 1 with 2/3 (5 levels)."""
    scores = Scores(np.array([[0.9], [0.8], [0.7], [0.1]]), np.array([[1], [0], [1], [0]]), names(1))
    assert eleven_point_map(scores)['map_11'].value == pytest.approx((6 + 5 * 2 / 3) / 11)
    constant = Scores(np.zeros((4, 1)), scores.labels, names(1))
    assert eleven_point_map(constant)['map_11'].value == pytest.approx(0.5)


@pytest.mark.parametrize('levels', [None, 4])
@pytest.mark.parametrize('ignoring', [True, False])
def test_eleven_point_map_against_a_naive_reference(levels, ignoring):
    rng = np.random.default_rng(2)
    values = rng.random((70, 6)).astype(np.float32)
    if levels:
        values = np.round(values * levels) / levels
    labels = ((rng.random((70, 6)) < 0.3) * (np.arange(6) < 5)).astype(int)  # class 5 has no video
    labels[:, 0] = np.arange(70) < 10  # ten positives: each level of recall is met exactly
    ignored = rng.random((70, 6)) < 0.2 if ignoring else np.zeros((70, 6), dtype=bool)
    want = [
        naive_eleven_points(labels[~ignored[:, k], k].tolist(), values[~ignored[:, k], k].tolist()) for k in range(5)
    ]
    found = eleven_point_map(Scores(values, labels, names(6)), ignored if ignoring else None)['map_11'].value
    assert found == pytest.approx(float(sum(want) / 5), abs=1e-12)


def test_eleven_point_map_refuses():
    scores = Scores(np.zeros((3, 2)), np.array([0, 1, 1]), names(2))
    assert eleven_point_map(scores)['map_11'].value == pytest.approx((1 / 3 + 2 / 3) / 2)  # single labels are one-hot
    with pytest.raises(UserError, match=r'\(n, K\) = \(3, 2\), as the labels are, got \(3, 3\)'):
        eleven_point_map(scores, np.zeros((3, 3)))
    with pytest.raises(UserError, match='No video has a label'):
        eleven_point_map(scores, np.ones((3, 2)))


def test_base_to_novel_and_harmonic_mean():
    assert harmonic_mean(0.8, 0.4) == pytest.approx(0.5333333333)
    assert harmonic_mean(0.8, 0.0) == harmonic_mean(0.0, 0.0) == 0
    base, novel = drawn(seed=1).scores(), drawn(seed=2, classes=9).scores()
    found = base_to_novel(base, novel)
    assert (found['base'].value, found['novel'].value) == (base.top(1), novel.top(1))
    assert found['harmonic_mean'].value == pytest.approx(2 / (1 / base.top(1) + 1 / novel.top(1)))


def test_mean_over_splits():
    found = mean_over([full_class(drawn(seed=seed, classes=3).scores()) for seed in range(3)])
    values = [drawn(seed=seed, classes=3).scores().top(1) for seed in range(3)]
    assert found['top1'].values == tuple(values)
    assert found['top1'].value == pytest.approx(np.mean(values))
    assert found['top1'].std == pytest.approx(np.std(values))


def test_what_cannot_be_computed_is_said():
    several = ViewLogits(torch.zeros(2, 1, 3), torch.ones(2, 3, dtype=torch.long), names(3))
    for protocol, given in (
        (full_class, several.scores()),
        (mean_class_accuracy, several.scores()),
        (half_class, several),
    ):
        with pytest.raises(UserError, match=r'needs videos with one label each.*ask for mAP'):
            protocol(given)
    with pytest.raises(UserError, match='num_classes of a split of classes is a whole number from 2 on; got 1'):
        half_class(drawn(classes=1))
    with pytest.raises(UserError, match=r'No video is of the 1 classes that the half-class protocol draws with seed 0'):
        half_class(ViewLogits(torch.zeros(1, 1, 2), torch.tensor([1 - half_class_split(2, 0)[0]]), names(2)))
    with pytest.raises(UserError, match='There are no videos to score'):
        full_class(drawn(videos=0).scores())
    with pytest.raises(UserError, match='No video has a label'):
        mean_average_precision(Scores(np.zeros((2, 3)), np.zeros((2, 3), dtype=int), names(3)))
