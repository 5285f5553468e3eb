"""The classifier of linear discriminant analysis against formulas written out, and what it refuses."""

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from textxfer_mm.classifiers import lda
from textxfer_mm.classifiers.feature_file import LabelledFeatures
from textxfer_mm.classifiers.lda import LDAClassifier, lda_rows
from textxfer_mm.classifiers.sources import ClassifierSource
from textxfer_mm.errors import NotAtHandError, UserError
from textxfer_mm.text import digests

NAMES = ('running', 'walking', 'jumping')
WIDTH = 5


def make(path, *, classes=3, per_class=20, width=WIDTH, seed=0, labels=None):
    """Write features of Gaussian classes with a common covariance that is no multiple of the identity."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), per_class) if labels is None else np.array(labels)
    mixing = rng.standard_normal((width, width)) + 2 * np.eye(width)
    means = 3 * rng.standard_normal((labels.max() + 1, width)) + 1
    features = means[labels] + rng.standard_normal((len(labels), width)) @ mixing
    LabelledFeatures(torch.from_numpy(features), torch.from_numpy(labels)).save(path)
    return path


@pytest.fixture
def file(tmp_path):
    return make(tmp_path / 'f.safetensors')


def moments(file):
    """Class means, the mean of all, and the covariance within classes, by loops."""
    data = LabelledFeatures.load(file)
    x, y = data.features.double().numpy(), data.labels.numpy()
    means = np.stack([x[y == label].mean(0) for label in range(y.max() + 1)])
    within = np.zeros((x.shape[1],) * 2)
    for row, label in zip(x, y, strict=True):
        within += np.outer(row - means[label], row - means[label]) / len(x)
    return means, x.mean(0), within


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_svd_against_the_formula(file):
    means, centre, within = moments(file)
    want = unit(np.linalg.solve(within, (means - centre).T).T)
    np.testing.assert_allclose(LDAClassifier(NAMES, file).build().weight.numpy(), want, atol=1e-6)


@pytest.mark.parametrize('solver', ['lsqr', 'eigen'])
def test_lsqr_and_eigen_against_the_formula(file, solver):
    means, _, within = moments(file)
    want = unit(np.linalg.solve(within, means.T).T)
    got = LDAClassifier(NAMES, file, solver=solver).build().weight.numpy()
    np.testing.assert_allclose(got, want, atol=1e-6)


def test_shrinkage_against_the_formula(file):
    """Shrinkage mixes the covariance of each class with a multiple of the identity of the same trace."""
    data = LabelledFeatures.load(file)
    x, y = data.features.double().numpy(), data.labels.numpy()
    means, _, _ = moments(file)
    within = np.zeros((WIDTH, WIDTH))
    for label in range(3):
        cov = np.cov(x[y == label].T, bias=True)
        within += (0.7 * cov + 0.3 * np.trace(cov) / WIDTH * np.eye(WIDTH)) / 3
    want = unit(np.linalg.solve(within, means.T).T)
    got = LDAClassifier(NAMES, file, solver='lsqr', shrinkage=0.3).build().weight.numpy()
    np.testing.assert_allclose(got, want, atol=1e-6)


@pytest.mark.parametrize(
    'options', [dict(), dict(solver='lsqr'), dict(solver='eigen', shrinkage=0.1), dict(solver='lsqr', shrinkage='auto')]
)
def test_scikit_learn(file, options):
    data = LabelledFeatures.load(file)
    analysis = LinearDiscriminantAnalysis(**options).fit(data.features.double().numpy(), data.labels.numpy())
    got = LDAClassifier(NAMES, file, **options).build().weight.numpy()
    np.testing.assert_allclose(got, unit(analysis.coef_), atol=1e-6)


def test_it_classifies(file):
    data = LabelledFeatures.load(file)
    centred = data.features - data.features.mean(0)
    scores = centred @ LDAClassifier(NAMES, file).build().weight.T
    assert (scores.argmax(1) == data.labels).float().mean() > 0.9


def test_two_classes(tmp_path):
    file = make(tmp_path / 'two', classes=2)
    means, _, within = moments(file)
    w = np.linalg.solve(within, means[1] - means[0])
    got = LDAClassifier(['a', 'b'], file).build().weight.numpy()
    np.testing.assert_allclose(got, unit(np.stack([-w, w])), atol=1e-6)
    data = LabelledFeatures.load(file)
    scores = (data.features - data.features.mean(0)).numpy() @ got.T
    assert (scores.argmax(1) == data.labels.numpy()).mean() > 0.9


def test_more_width_than_videos(tmp_path):
    file = make(tmp_path / 'wide', per_class=3, width=40)
    for options in (dict(), dict(solver='lsqr', shrinkage='auto')):
        assert LDAClassifier(NAMES, file, **options).build().embed_dims == 40


def test_the_rules_of_a_source(file):
    source = LDAClassifier(NAMES, str(file), solver='lsqr', shrinkage=0.5)
    assert isinstance(source, ClassifierSource)
    state = torch.get_rng_state()
    with torch.autocast('cpu', dtype=torch.bfloat16), torch.inference_mode():
        bundle = source.build()
    assert torch.equal(torch.get_rng_state(), state)
    assert not bundle.weight.is_inference()
    assert bundle.encoder_id == 'lda/f.safetensors/lsqr/shrinkage=0.5'
    for name in ('class_names', 'templates', 'encoder_id', 'embed_dims'):
        assert getattr(bundle, name) == getattr(source, name)


def test_properties_are_cheap(file, monkeypatch):
    monkeypatch.setattr(LabelledFeatures, 'load', None)
    source = LDAClassifier(NAMES, file)
    assert (source.class_names, source.templates, source.embed_dims) == (NAMES, (), WIDTH)
    assert source.encoder_id == 'lda/f.safetensors/svd'


def test_computed_once(file, monkeypatch):
    calls = []
    monkeypatch.setattr(lda, 'lda_rows', lambda *a, **k: calls.append(1) or lda_rows(*a, **k))
    first = LDAClassifier(NAMES, file).build()
    second = LDAClassifier(list(NAMES), str(file)).build()
    torch.testing.assert_close(second.weight, first.weight, rtol=0, atol=0)
    assert second.metadata() == first.metadata()
    assert len(calls) == 1
    assert len(list((digests.cache_dir() / 'classifiers').glob('*.safetensors'))) == 1


def test_a_stale_cache_is_not_hit(file, tmp_path):
    keys = [
        LDAClassifier(NAMES, file).cache_key(),
        LDAClassifier(NAMES, file, solver='lsqr').cache_key(),
        LDAClassifier(NAMES, file, solver='lsqr', shrinkage=0.1).cache_key(),
        LDAClassifier(NAMES[::-1], file).cache_key(),
        LDAClassifier(NAMES, make(file, seed=1)).cache_key(),  # same name, same size
        LDAClassifier(NAMES, make(tmp_path / 'g.safetensors', seed=1)).cache_key(),
    ]
    assert len(set(keys)) == len(keys)


def test_a_file_that_is_not_there(tmp_path):
    source = LDAClassifier(NAMES, tmp_path / 'gone.safetensors')
    assert source.encoder_id == 'lda/gone.safetensors/svd'
    for use in (lambda: source.embed_dims, source.build, source.cache_key):
        with pytest.raises(NotAtHandError, match=r'extract_features\.py CONFIG .*gone\.safetensors'):
            use()
    assert LDAClassifier(NAMES, tmp_path / 'gone.safetensors', embed_dims=7).embed_dims == 7


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(solver='svdd'), r"Unknown solver='svdd' of LDAClassifier\. Did you mean: svd"),
        (dict(shrinkage=0.1), r"the solver 'svd' knows no shrinkage\. Use solver='lsqr'"),
        (dict(solver='lsqr', shrinkage=2), "None, 'auto' or a number from 0 to 1, got 2"),
        (dict(solver='lsqr', shrinkage='some'), "None, 'auto' or a number from 0 to 1, got 'some'"),
        (dict(embed_dims='512'), "embed_dims` of LDAClassifier is an integer from 1 on, or None, got '512'"),
        (dict(class_names=['a', 'a']), 'Duplicate class names'),
    ],
)
def test_mistakes(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        LDAClassifier(**{'class_names': NAMES, 'features': tmp_path / 'f', **options})


@pytest.mark.parametrize(
    ('given', 'options', 'message'),
    [
        (dict(per_class=1), {}, 'has 3 videos of 3 class.* more videos than classes'),
        (dict(labels=[0, 1]), {}, 'has 2 videos of 3 class.* more videos than classes'),
        (dict(classes=4), {}, 'labels from 0 to 3, but the 3 class names are those of 0 to 2'),
        (dict(labels=[0, 0, 2, 2, 2]), {}, r"no video of the class\(es\) 'walking'"),
        (
            dict(classes=1),
            dict(class_names=['a']),
            r'20 videos of 1 class\(es\): linear discriminant analysis needs two',
        ),
        (dict(width=4), dict(embed_dims=5), 'features of width 4, but LDAClassifier has embed_dims=5'),
        (dict(per_class=3, width=40), dict(solver='eigen'), r"failed with solver='eigen': .* shrinkage='auto'"),
    ],
)
def test_features_that_do_not_fit(tmp_path, given, options, message):
    source = LDAClassifier(**{'class_names': NAMES, 'features': make(tmp_path / 'f', **given), **options})
    with pytest.raises(UserError, match=message):
        source.build()


@pytest.mark.parametrize('size', [1e-16, 1e16])
def test_weights_of_any_size(tmp_path, size):
    """Weights go with the inverse of the features; float32 cannot square those of these."""
    data = LabelledFeatures.load(make(tmp_path / 'f'))
    LabelledFeatures(size * data.features, data.labels).save(tmp_path / 'g')
    got = LDAClassifier(NAMES, tmp_path / 'g', solver='lsqr').build().weight
    torch.testing.assert_close(got, LDAClassifier(NAMES, tmp_path / 'f', solver='lsqr').build().weight)


def test_a_class_without_a_direction(tmp_path):
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((20, WIDTH))
    noise = np.concatenate([noise, -noise])  # its mean is zero
    features = np.concatenate([noise + 5, noise - 5, noise])
    labels = torch.arange(3).repeat_interleave(40)
    LabelledFeatures(torch.from_numpy(features), labels).save(tmp_path / 'f')
    with pytest.raises(UserError, match=r"no direction for 1 class\(es\), such as 'jumping'"):
        LDAClassifier(NAMES, tmp_path / 'f').build()
    LabelledFeatures(torch.ones(120, WIDTH), labels).save(tmp_path / 'f')
    with pytest.raises(UserError, match='the videos of each class have one and the same feature'):
        LDAClassifier(NAMES, tmp_path / 'f').build()
