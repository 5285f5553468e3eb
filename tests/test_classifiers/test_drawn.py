"""Random and orthogonal rows: their laws, their seeds, and their equality on all ranks."""

import numpy as np
import pytest
import torch

from textxfer_mm.classifiers.drawn import OneHotClassifier, OrthogonalClassifier, RandomClassifier
from textxfer_mm.classifiers.sources import ClassifierSource
from textxfer_mm.errors import NotAtHandError, UserError

NAMES = ('running', 'walking', 'jumping')
KINDS = (RandomClassifier, OrthogonalClassifier)
WIDTH = 24


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def test_random_rows_against_a_loop():
    rows = RandomClassifier(NAMES, WIDTH, seed=3).build().weight
    generator = np.random.default_rng(3)
    for row in rows:
        drawn = np.array([generator.standard_normal() for _ in range(WIDTH)])
        np.testing.assert_allclose(row.numpy(), drawn / np.sqrt((drawn**2).sum()), atol=1e-7)


def test_random_rows_are_nearly_orthogonal():
    rows = RandomClassifier([f'class {i}' for i in range(400)], 512).build().weight
    cosines = (rows @ rows.T)[~torch.eye(400, dtype=torch.bool)]
    assert cosines.std().item() == pytest.approx(512**-0.5, rel=0.02)  # 0.044
    assert cosines.mean().abs() < 1e-3


def test_orthogonal_rows():
    rows = OrthogonalClassifier([f'class {i}' for i in range(WIDTH)], WIDTH).build().weight
    torch.testing.assert_close(rows @ rows.T, torch.eye(WIDTH), atol=1e-6, rtol=0)


def test_orthogonal_rows_against_gram_schmidt():
    """Gram-Schmidt on the columns of U gives the Q of a positive diagonal; the classifier is its first rows."""
    u = np.random.default_rng(5).standard_normal((WIDTH, WIDTH))
    columns = []
    for column in u.T:
        for _ in range(2):  # twice, for accuracy
            for other in columns:
                column = column - (column @ other) * other
        columns.append(column / np.linalg.norm(column))
    q = np.stack(columns, axis=1)
    rows = OrthogonalClassifier(NAMES, WIDTH, seed=5).build().weight
    np.testing.assert_allclose(rows.numpy(), q[:3], atol=1e-6)


def test_signs_do_not_depend_on_the_decomposition(monkeypatch):
    want = OrthogonalClassifier(NAMES, WIDTH).build().weight
    released = np.linalg.qr

    def other_signs(a):
        q, r = released(a)
        signs = np.where(np.arange(len(a)) % 2, -1.0, 1.0)
        return q * signs, signs[:, None] * r

    monkeypatch.setattr(np.linalg, 'qr', other_signs)
    torch.testing.assert_close(OrthogonalClassifier(NAMES, WIDTH).build().weight, want)


def test_the_rules_of_a_source(kind):
    source = kind(NAMES, WIDTH, seed=4)
    assert isinstance(source, ClassifierSource)
    state = torch.get_rng_state()
    np.random.seed(0)
    expected = np.random.rand()
    np.random.seed(0)
    with torch.autocast('cpu', dtype=torch.bfloat16), torch.inference_mode():
        bundle = source.build()
    assert np.random.rand() == expected
    assert torch.equal(torch.get_rng_state(), state)
    assert bundle.weight.dtype == torch.float32
    assert not bundle.weight.is_inference()
    torch.testing.assert_close(bundle.weight.norm(dim=1), torch.ones(3))
    for name in ('class_names', 'templates', 'encoder_id', 'embed_dims'):
        assert getattr(bundle, name) == getattr(source, name)


def test_seeds(kind):
    first = kind(NAMES, WIDTH).build()
    torch.testing.assert_close(kind(list(NAMES), WIDTH).build().weight, first.weight, rtol=0, atol=0)
    other = kind(NAMES, WIDTH, seed=1).build()
    assert not torch.allclose(other.weight, first.weight, atol=0.01)
    assert other.encoder_id != first.encoder_id


def test_a_file_of_names_is_read_when_needed(kind, tmp_path):
    path = tmp_path / 'labels.txt'
    source = kind(str(path), WIDTH)
    assert (source.embed_dims, source.templates, source.encoder_id) == (WIDTH, (), f'{kind.kind}/seed=0')
    with pytest.raises(NotAtHandError, match=r'labels\.txt'):
        source.build()
    path.write_text('\n'.join(NAMES))
    torch.testing.assert_close(source.build().weight, kind(NAMES, WIDTH).build().weight, rtol=0, atol=0)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(embed_dims=0), 'embed_dims is an integer from 1 on, got 0'),
        (dict(embed_dims=2.0), r'embed_dims is an integer from 1 on, got 2\.0'),
        (dict(seed=-1), 'seed is an integer from 0 on, got -1'),
        (dict(seed=None), 'seed is an integer from 0 on, got None'),
        (dict(class_names=['a', 'A']), 'Duplicate class names'),
    ],
)
def test_mistakes(kind, arguments, message):
    with pytest.raises(UserError, match=message):
        kind(**{'class_names': NAMES, 'embed_dims': WIDTH, **arguments})


def test_more_classes_than_orthogonal_rows(tmp_path):
    message = r'4 rows of width 3 cannot all be orthogonal to each other\. Use RandomClassifier'
    with pytest.raises(UserError, match=message):
        OrthogonalClassifier(list('abcd'), 3)
    (tmp_path / 'labels.txt').write_text('a\nb\nc\nd\n')
    source = OrthogonalClassifier(tmp_path / 'labels.txt', 3)
    with pytest.raises(UserError, match=message):
        source.build()
    assert OrthogonalClassifier(list('abc'), 3).build().num_classes == 3


def test_one_hot_rows_are_the_identity(tmp_path):
    source = OneHotClassifier(NAMES)
    assert isinstance(source, ClassifierSource)
    bundle = source.build()
    assert bundle.weight.equal(torch.eye(3))
    assert (bundle.class_names, source.embed_dims, source.templates) == (NAMES, 3, ())
    absent = OneHotClassifier(tmp_path / 'labels.txt', embed_dims=3)
    assert absent.embed_dims == 3  # a head is built where the names are not at hand
    with pytest.raises(UserError, match=r'labels\.txt'):
        absent.build()
    with pytest.raises(UserError, match='OneHotClassifier: 3 class names, but embed_dims=4'):
        OneHotClassifier(NAMES, embed_dims=4).build()
