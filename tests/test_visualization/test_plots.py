import warnings

import numpy as np
import pytest
from PIL import Image

from textxfer_mm.errors import UserError
from textxfer_mm.files import require_png
from textxfer_mm.visualization import (
    class_correlation,
    plot_class_correlation,
    plot_class_correlations,
    plot_confusion_matrix,
    plot_loss_curves,
    plot_timeline,
    plot_trade_off,
    plot_training_curves,
)
from textxfer_mm.visualization.curves import _smoothed
from textxfer_mm.visualization.figures import families_for, png_of, shortened
from textxfer_mm.visualization.matrices import _scales
from textxfer_mm.visualization.timelines import _chosen, timeline_figure

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


def test_class_correlation_is_the_cosine():
    rows = np.random.default_rng(0).normal(size=(4, 5))
    naive = [[a @ b / np.sqrt(a @ a * (b @ b)) for b in rows] for a in rows]
    np.testing.assert_allclose(class_correlation(rows), naive, atol=1e-12)


def test_maps_side_by_side_share_one_scale():
    maps = [np.array([[1, 0.5], [0.5, 1]]), np.array([[1, -0.2], [-0.2, 1]])]
    assert _scales(maps, (None,), (None,), False) == [(-0.2, 0.5)] * 2
    assert _scales(maps, (0.0,), (None,), False) == [(0.0, 0.5)] * 2
    assert _scales(maps, (None,), (1.0, 0.1), True) == [(pytest.approx(0.49), 1.0), (pytest.approx(-0.21), 0.1)]


def test_rounding_errors_of_orthogonal_rows_are_no_pattern():
    ((low, high),) = _scales([np.eye(3) + 1e-9], (None,), (None,), False)
    assert high - low > 0.01


def test_maps_are_drawn_beside_each_other(tmp_path):
    maps = {f'map {i}': class_correlation(np.random.default_rng(i).normal(size=(3, 4))) for i in range(5)}
    one = plot_class_correlations(tmp_path / '1.png', {'map 0': maps['map 0']}, NAMES)
    five = plot_class_correlations(tmp_path / '5.png', maps, NAMES)
    own = plot_class_correlations(tmp_path / 'own.png', maps, NAMES, own_scales=True)
    assert pixels(five).shape[1] > 2 * pixels(one).shape[1]
    assert pixels(five).std() > 5
    assert not np.array_equal(pixels(five), pixels(own))


def test_names_too_many_to_be_read_are_left_out(tmp_path):
    names = [f'a class with quite a long name {i}' for i in range(70)]
    plot_class_correlations(tmp_path / '1.png', {'all': np.eye(70)}, names)
    assert pixels(tmp_path / '1.png').shape[0] < 120 * 10


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(vmin=[0.1, 0.2, 0.3]), 'vmin: give one value for all maps or one for each of the 2, not 3'),
        (dict(vmin=[float('nan')]), r'lowest colour \(nan\) must be below'),
        (dict(vmin=[0.5], vmax=[0.5]), r'lowest colour \(0.5\) must be below the highest \(0.5\)'),
    ],
)
def test_colour_thresholds_are_checked(tmp_path, arguments, message):
    with pytest.raises(UserError, match=message):
        plot_class_correlations(tmp_path / 'x.png', {'a': np.eye(3), 'b': np.eye(3)}, NAMES, **arguments)
    with pytest.raises(UserError, match=r"matrix of 3 x 3; 'a' is \(2, 2\)"):
        plot_class_correlations(tmp_path / 'x.png', {'a': np.eye(2)}, NAMES)


def test_loss_curves_are_drawn_with_gaps(tmp_path):
    steps = np.arange(1, 101)
    losses = 3 * np.exp(-steps / 30)
    broken = np.where(steps % 10 == 0, np.nan, losses)
    one = plot_loss_curves(tmp_path / '1.png', {'ours': (steps, losses), 'vision only': (steps, 2 * losses)})
    two = plot_loss_curves(tmp_path / '2.png', {'ours': (steps, broken), 'vision only': (steps, 2 * losses)})
    log = plot_loss_curves(tmp_path / '3.png', {'ours': (steps, losses)}, log_scale=True, smoothing=1)
    assert pixels(one).std() > 5
    assert pixels(log).std() > 5
    assert not np.array_equal(pixels(one), pixels(two))


def test_smoothing_is_centred_and_passes_over_what_is_not_finite():
    values = np.random.default_rng(0).normal(size=20)
    values[7] = np.nan
    naive = [np.nanmean(values[max(0, i - 2) : i + 3]) if np.isfinite(values[i]) else np.nan for i in range(20)]
    np.testing.assert_allclose(_smoothed(values, 5), naive)
    np.testing.assert_allclose(_smoothed(values, 1), values)
    np.testing.assert_allclose(_smoothed(np.ones(3), 50), 1)


@pytest.mark.parametrize(
    ('curves', 'message'),
    [
        ({}, 'at least one run'),
        ({'a': ([1, 2], [1.0])}, 'a: needs as many positions as values'),
        ({'a': ([1], [float('nan')])}, 'a: none of its 1 values is finite'),
        ({'a': ([1, 2], [0.0, -1.0])}, 'a: none of its 2 values is finite and positive'),
    ],
)
def test_loss_curves_that_cannot_be_drawn(tmp_path, curves, message):
    with pytest.raises(UserError, match=message):
        plot_loss_curves(tmp_path / 'x.png', curves, log_scale='positive' in message)


def test_a_single_value_is_seen(tmp_path):
    one = plot_loss_curves(tmp_path / '1.png', {'a': ([20], [1.0])})
    none = plot_loss_curves(tmp_path / '2.png', {'a': ([20, 20], [1.0, 1.0])})  # a line without length
    assert not np.array_equal(pixels(one), pixels(none))


def test_figures_have_names_of_png_files(tmp_path):
    require_png(tmp_path / 'a.PNG', 'OUT')
    for name, message in (('a.pdf', 'a.pdf: figures are PNG files'), ('.', 'is a folder')):
        with pytest.raises(UserError, match=message):
            require_png(tmp_path / name, 'OUT')


@pytest.mark.parametrize('plot', [plot_class_correlation, plot_confusion_matrix])
def test_names_are_drawn_as_written(tmp_path, monkeypatch, plot):
    """A dollar sign begins no formula, and a text of a name leaves room for the map."""
    drawn = []
    monkeypatch.setattr('textxfer_mm.visualization.matrices.save_figure', lambda figure, path: drawn.append(figure))
    names = [r'pay $\frac{5$ or $10', 'red \x1b[31m', 'x' * 10_000]
    plot(tmp_path / 'a.png', np.eye(3), names)
    drawn[0].canvas.draw()
    (axes, _) = drawn[0].axes
    wanted = [names[0], r'red \x1b[31m', 'x' * 60 + '... (10,000 letters)']
    assert [label.get_text() for label in axes.get_xticklabels()] == wanted
    plot_class_correlations(tmp_path / 'b.png', {'$a': np.eye(3), 'b$ $c_': np.eye(3)}, names)
    drawn[1].canvas.draw()


def test_runs_are_named_as_written(tmp_path):
    plot_loss_curves(tmp_path / 'a.png', {r'run $\x': ([1, 2], [1.0, 2.0]), 'b': ([1, 2], [2.0, 1.0])}, log_scale=True)
    assert pixels(tmp_path / 'a.png').std() > 1


def test_a_trade_off_shows_its_points(tmp_path):
    one = plot_trade_off(tmp_path / '1.png', {'a $x$ b': ([0.1, 0.9], [0.8, 0.3])}, alphas=[0, 1])
    two = plot_trade_off(tmp_path / '2.png', {'a $x$ b': ([0.1, 0.9], [0.3, 0.8])}, alphas=[0, 1])
    assert pixels(one).std() > 5
    assert not np.array_equal(pixels(one), pixels(two))


def test_a_trade_off_needs_as_many_points_as_alphas(tmp_path):
    with pytest.raises(UserError, match='needs at least one curve'):
        plot_trade_off(tmp_path / 'x.png', {}, alphas=[0, 1])
    with pytest.raises(UserError, match='own: 2 and 2 accuracies for 1 values of alpha'):
        plot_trade_off(tmp_path / 'x.png', {'own': ([0.1, 0.9], [0.8, 0.3])}, alphas=[1])


def test_a_timeline_has_a_row_for_each_label_and_one_for_none(tmp_path):
    scores = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.3, 0.3, 0.4]])
    lines = dict(class_names=NAMES, edges=[0, 2, 4, 6], scores=scores)
    found = [(NAMES[0], 0, 2), (NAMES[1], 2, 4)]
    three = pixels(plot_timeline(tmp_path / 'a.png', segments=found, title='cost $5 a$b', **lines))
    four = pixels(plot_timeline(tmp_path / 'b.png', segments=[*found, (None, 4, 6)], **lines))
    assert four.shape[0] > three.shape[0]
    with pytest.raises(UserError, match=r'scores \(W, K\) for K names between W \+ 1 borders.* got \(3, 3\) for 2'):
        plot_timeline(tmp_path / 'c.png', **{**lines, 'class_names': NAMES[:2]}, segments=[])


def test_a_timeline_of_many_labels_shows_those_that_were_found(tmp_path):
    rng = np.random.default_rng(0)
    names, scores = [f'class {k}' for k in range(400)], rng.uniform(0, 0.4, (5000, 400))
    assert 399 in _chosen(names, scores, [('class 399', 0, 1), ('class 7', 3, 4)])
    assert len(_chosen(names, scores, [])) == 20
    path = plot_timeline(tmp_path / 'a.png', class_names=names, edges=np.arange(5001), scores=scores, segments=[])
    assert pixels(path).shape[0] < 1500


def test_long_labels_leave_room_for_the_scores():
    """Of Chinese letters half as many are as wide."""
    names = ['a' * 259, '\u8d70' * 259, 'b']
    for name, letters in zip(names, (40, 20, 1), strict=True):
        assert len(shortened(name, 40)) == letters
    assert shortened('a' * 40, 40) == 'a' * 40
    assert shortened('a' * 39 + ' bc', 41) == 'a' * 39 + '\u2026'
    scores = np.full((4, 3), 0.3)
    figure = timeline_figure(class_names=names, edges=np.arange(5), scores=scores, segments=[], width=7)
    png_of(figure)  # lays it out
    assert figure.axes[0].get_position().width > 0.35


@pytest.mark.parametrize(
    ('highest', 'end', 'label'),
    [(0.06, 0.06, 'score, the highest is 0.06'), (0.5, 1, 'score'), (0.9, 1, 'score'), (0, 1, 'score')],
)
def test_low_scores_of_a_timeline_are_seen(highest, end, label):
    scores = np.linspace(0, highest, 120).reshape(4, 30)
    names = [f'class {k}' for k in range(30)]
    figure = timeline_figure(class_names=names, edges=np.arange(5), scores=scores, segments=[])
    assert figure.axes[0].collections[0].get_clim() == (0, end)
    assert figure.axes[1].get_ylabel() == label


def test_letters_that_no_font_has_are_not_told_to_the_log(tmp_path):
    lines = dict(class_names=['\u8d70\u8def', 'b'], edges=[0, 1], scores=np.ones((1, 2)), segments=[])
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        path = plot_timeline(tmp_path / 'a.png', **lines)
    assert pixels(path).std() > 1


def test_letters_are_drawn_in_a_font_that_has_them():
    """U+E000 is in STIXNonUnicode, which comes with matplotlib, and not in its own font."""
    assert families_for(frozenset('abc')) == ()
    assert families_for(frozenset('ab\ue000')) == ('STIXNonUnicode',)
    lines = dict(edges=[0, 1], scores=np.ones((1, 1)), segments=[])
    drawn = [png_of(timeline_figure(class_names=[name], **lines)) for name in ('\ue000', '\ue00e')]
    assert drawn[0] != drawn[1]


def test_training_curves_of_a_score_that_is_no_accuracy(tmp_path):
    """Without accuracies of the steps there is the validation alone; the score is drawn as it is."""
    common = dict(iterations=[1, 2], losses=[1.0, 0.5], accuracies=None, val_iterations=[2], val_accuracies=[7.5])
    as_written = plot_training_curves(tmp_path / 'a.png', score='mAP', **common)
    assert as_written.read_bytes() != plot_training_curves(tmp_path / 'b.png', score='other', **common).read_bytes()
    with pytest.raises(UserError, match='at least one: got 0 and 0'):
        plot_training_curves(tmp_path / 'c.png', iterations=[], losses=[], accuracies=None)
