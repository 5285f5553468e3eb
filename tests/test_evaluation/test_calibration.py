"""Temperature, calibration error, thresholds and calibrated stacking, against naive references and by hand."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from textxfer_mm.errors import UserError
from textxfer_mm.evaluation.calibration import (
    expected_calibration_error,
    fit_temperature,
    losing_threshold,
    margins,
    negative_log_likelihood,
    stacking,
)


def drawn(scale, videos=400, classes=9, seed=0):
    """Logits that name the true class more often than not."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (videos,), generator=generator)
    logits = torch.randn(videos, classes, generator=generator)
    logits[torch.arange(videos), labels] += 1.5
    return scale * logits, labels


@pytest.mark.parametrize('scale', [0.1, 1, 100])
def test_temperature_against_a_search(scale):
    logits, labels = drawn(scale)
    searched = minimize_scalar(
        lambda power: negative_log_likelihood(logits, labels, np.exp(power)),
        bounds=(-6, 8),
        method='bounded',
        options=dict(xatol=1e-10),
    )
    assert fit_temperature(logits, labels) == pytest.approx(np.exp(searched.x), rel=1e-5)


def test_temperature_by_hand():
    """Two classes, logit difference 1, right in 3 of 4: the best difference is log 3."""
    logits = torch.tensor([[1.0, 0.0]] * 4)
    assert fit_temperature(logits, torch.tensor([0, 0, 0, 1])) == pytest.approx(1 / np.log(3))
    want = -(3 * np.log(0.75) + np.log(0.25)) / 4
    assert negative_log_likelihood(logits, torch.tensor([0, 0, 0, 1]), 1 / np.log(3)) == pytest.approx(want)


def test_temperatures_that_do_not_exist():
    logits, labels = drawn(1)
    with pytest.raises(UserError, match='all 400 validation videos are recognised right'):
        fit_temperature(logits, logits.argmax(1))
    with pytest.raises(UserError, match='no better than chance'):
        fit_temperature(-logits, labels)


def naive_error(confidences, right, bins=15):
    """Bins [0, 1/15), ..., [14/15, 1), and 1 alone, as torchmetrics has them."""
    total = 0.0
    for low in range(bins + 1):
        inside = [n for n, c in enumerate(confidences) if low / bins <= c < (low + 1) / bins]
        if inside:
            gap = np.mean([confidences[n] for n in inside]) - np.mean([right[n] for n in inside])
            total += len(inside) / len(confidences) * abs(gap)
    return total


@pytest.mark.parametrize('scale', [1, 5, 100])
def test_calibration_error_against_a_loop(scale):
    logits, labels = drawn(scale)
    confidences, predicted = logits.softmax(1).max(1)
    right = (predicted == labels).numpy()
    found = expected_calibration_error(confidences.numpy(), right)
    assert found == pytest.approx(naive_error(confidences.tolist(), right), abs=1e-6)
    assert scale != 100 or (confidences == 1).any()


def test_calibration_error_by_hand():
    """0.95 and 0.96 share a bin, right once: |0.955 - 0.5|; 0.5 is alone and right: 0.5."""
    found = expected_calibration_error(np.array([0.95, 0.96, 0.5]), np.array([True, False, True]))
    assert found == pytest.approx(2 / 3 * 0.455 + 1 / 3 * 0.5)
    assert expected_calibration_error(np.array([1.0, 1.0]), np.array([True, False])) == pytest.approx(0.5)


@pytest.mark.parametrize(('videos', 'lost'), [(100, 5), (20, 1), (19, 0), (60, 3), (399, 19)])
def test_the_threshold_loses_no_more_than_its_share(videos, lost):
    values = np.random.default_rng(0).permutation(videos) / videos
    threshold = losing_threshold(values)
    assert (values < threshold).sum() == lost
    assert (values <= threshold).sum() == lost + 1


def test_calibration_error_of_nothing():
    with pytest.raises(UserError, match='A calibration error needs videos'):
        expected_calibration_error(np.array([]), np.array([]))


def test_thresholds_of_nothing():
    with pytest.raises(UserError, match='there are none'):
        losing_threshold(np.array([]))
    with pytest.raises(UserError, match=r'from 0 to below 1, got 1\.5'):
        losing_threshold(np.array([0.5]), 1.5)
    assert losing_threshold(np.array([0.3, 0.3, 0.3])) == 0.3  # what equals it is kept


def test_stacking_is_subtraction_at_every_constant():
    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(0, 7, (120,), generator=generator)
    logits = torch.randn(120, 7, generator=generator).double()
    logits[torch.arange(120), labels] += 1
    logits[:, :4] += 1.5  # seen names are ahead
    made = stacking(logits, labels, 4)
    for constant in (-10.0, 0.0, 0.7, 1.5, 2.0, 10.0):
        moved = logits.clone()
        moved[:, :4] -= constant
        right = moved.argmax(1) == labels
        want = [part.double().mean().item() for part in (right[labels < 4], right[labels >= 4])]
        assert made.at(constant) == pytest.approx(want)
    heights = [2 * a * b / (a + b) if a + b else 0 for a, b in zip(made.seen, made.unseen, strict=True)]
    best = made.best
    assert 2 * best[0] * best[1] / sum(best) == pytest.approx(max(heights))
    assert made.area == pytest.approx(np.trapezoid(made.unseen[::-1], made.seen[::-1]))
    assert 0 < made.area < 1


def test_stacking_by_hand():
    """One seen and one unseen video, both right among their own names; the seen name is ahead by 2 and by 1."""
    logits = torch.tensor([[3.0, 1.0], [2.0, 1.0]])
    made = stacking(logits, torch.tensor([0, 1]), 1)
    np.testing.assert_allclose(margins(logits, 1), [2, 1])
    assert made.at(0) == (1, 0)
    assert made.at(1) == (1, 0)  # of equal logits the seen name wins
    assert made.at(1.5) == (1, 1)
    assert made.at(2.5) == (0, 1)
    assert made.best == (1, 1)
    with pytest.raises(UserError, match='one kind is missing'):
        stacking(logits, torch.tensor([0, 0]), 1)
