import numpy as np
import pytest
from PIL import Image

from textxfer_mm.errors import UserError
from textxfer_mm.visualization import plot_class_correlation, plot_confusion_matrix, plot_training_curves

NAMES = ['waving one hand', 'waving two hands', 'walking to the left']


def pixels(path):
    return np.asarray(Image.open(path).convert('L'), dtype=float)


def test_curves_are_drawn_and_complete(tmp_path):
    path = plot_training_curves(
        tmp_path / 'sub' / 'curves.png',
        iterations=range(1, 51),
        losses=np.linspace(3, 0.1, 50),
        accuracies=np.linspace(0, 1, 50),
        val_iterations=[25, 50],
        val_accuracies=[0.4, 0.9],
    )
    assert pixels(path).std() > 5
    assert [p.name for p in path.parent.iterdir()] == ['curves.png']


def test_curves_differ_with_their_values(tmp_path):
    common = dict(iterations=[1, 2, 3], losses=[3, 2, 1])
    one = plot_training_curves(tmp_path / '1.png', accuracies=[0.1, 0.2, 0.3], **common)
    two = plot_training_curves(tmp_path / '2.png', accuracies=[0.9, 0.8, 0.7], **common)
    assert not np.array_equal(pixels(one), pixels(two))


@pytest.mark.parametrize('losses', [[], [1.0]])
def test_curves_need_values_of_equal_number(tmp_path, losses):
    with pytest.raises(UserError, match='as many iterations as losses'):
        plot_training_curves(tmp_path / 'x.png', iterations=[], losses=losses, accuracies=[])


def test_running_mean_of_the_curves():
    from textxfer_mm.visualization.curves import _running_mean

    values = np.random.default_rng(0).normal(size=30)
    naive = [np.mean(values[max(0, i - 6) : i + 1]) for i in range(30)]
    np.testing.assert_allclose(_running_mean(values, 7), naive, atol=1e-12)


def test_correlation_map_shows_which_classes_are_near(tmp_path):
    near = plot_class_correlation(tmp_path / 'near.png', [[1, 0], [1, 0.1], [0, 1]], NAMES)
    far = plot_class_correlation(tmp_path / 'far.png', [[1, 0], [-1, 0.1], [0, 1]], NAMES)
    assert pixels(near).std() > 5
    assert not np.array_equal(pixels(near), pixels(far))


def test_correlation_ignores_the_length_of_the_rows(tmp_path):
    one = plot_class_correlation(tmp_path / '1.png', [[1, 0], [1, 1], [0, 1]], NAMES)
    two = plot_class_correlation(tmp_path / '2.png', [[5, 0], [2, 2], [0, 1]], NAMES)
    assert np.array_equal(pixels(one), pixels(two))


def test_confusion_matrix_is_normalised_by_row(tmp_path):
    one = plot_confusion_matrix(tmp_path / '1.png', [[1, 1, 0], [0, 2, 0], [0, 0, 9]], NAMES)
    two = plot_confusion_matrix(tmp_path / '2.png', [[5, 5, 0], [0, 1, 0], [0, 0, 1]], NAMES)
    assert np.array_equal(pixels(one), pixels(two))


def test_confusion_matrix_of_a_class_without_videos(tmp_path):
    assert pixels(plot_confusion_matrix(tmp_path / '1.png', [[1, 1, 0], [0, 0, 0], [0, 0, 9]], NAMES)).std() > 5


def test_matrix_and_names_must_agree(tmp_path):
    with pytest.raises(UserError, match='matrix of 3 x 3'):
        plot_confusion_matrix(tmp_path / 'x.png', np.eye(2), NAMES)
