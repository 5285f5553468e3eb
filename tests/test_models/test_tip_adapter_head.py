"""``TipAdapterHead``: parity with the paper's formula written out, and the cache that belongs to the checkpoint."""

import math

import pytest
import torch
import torch.nn.functional as F
from mmaction.structures import ActionDataSample
from tiny import FixedSource

from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.classifiers.key_cache import KeyCache
from textxfer_mm.errors import NotAtHandError, UserError
from textxfer_mm.layers.key_votes import key_votes
from textxfer_mm.models.heads import TipAdapterHead

N, V, C, K, M = 3, 2, 32, 6, 10
OWNERS = [0, 0, 1, 2, 2, 3, 4, 4, 5, 5]


@pytest.fixture
def cache(tmp_path):
    """A file of ten known videos of six classes."""
    rows = torch.randn(M, C, generator=torch.Generator().manual_seed(1))
    names = [FixedSource().class_names[owner] for owner in OWNERS]
    return ClassifierBundle.from_rows(rows, class_names=names, encoder_id='keys').save(tmp_path / 'cache.safetensors')


def make_head(cache, **options):
    given = dict(in_channels=C, classifier=FixedSource(embed_dims=C), cache=cache, num_keys=M, alpha=2.0, beta=3.0)
    return TipAdapterHead(**{**given, **options})


def samples(labels=(0, 1, 2)):
    return [ActionDataSample().set_gt_label(label) for label in labels]


def naive_votes(features, keys, owners, beta):
    votes = [[0.0] * K for _ in features]
    for n, f in enumerate(features):
        for m, key in enumerate(keys):
            cosine = (f @ key) / (f.norm() * key.norm())
            votes[n][owners[m]] = votes[n][owners[m]] + torch.exp(-beta * (1 - cosine))
    return torch.stack([torch.stack([torch.as_tensor(vote) for vote in row]) for row in votes])


def test_votes_and_their_gradient():
    features, keys = torch.randn(N, C, requires_grad=True), torch.randn(M, C, requires_grad=True)
    values, weight = F.one_hot(torch.tensor(OWNERS), K), torch.randn(N, K)
    out = key_votes(features, keys, values, 5.5)
    (out * weight).sum().backward()
    got = features.grad.clone(), keys.grad.clone()
    features.grad = keys.grad = None
    expected = naive_votes(features, keys, OWNERS, 5.5)
    (expected * weight).sum().backward()
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(got[0], features.grad, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(got[1], keys.grad, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize('projection', [None, 'linear'])
def test_prediction_is_the_formula(cache, projection):
    head = make_head(cache, projection=projection, classifier=FixedSource(embed_dims=C if projection is None else 8))
    head.eval()
    views = torch.randn(N * V, C)
    found = torch.stack([sample.pred_score for sample in head.predict(views, samples())])
    mean, embedded = (x.view(N, V, -1).mean(1) for x in (views, head.projection(views)))
    text = 100 * F.normalize(embedded, dim=-1) @ head.class_rows.weight.t()
    keys = ClassifierBundle.load(cache).weight
    expected = (text + 2.0 * naive_votes(mean, keys, OWNERS, 3.0)).softmax(-1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert head.embed(views).shape == (N * V, head.class_rows.embed_dims)  # what is compared with the rows alone


def test_training_moves_the_keys_alone_if_it_is_asked_to(cache):
    head = make_head(cache, train_keys=True, learn_scale=False)
    head.init_weights()
    head.train()
    assert [name for name, one in head.named_parameters() if one.requires_grad] == ['cache.keys']
    losses = head.loss(torch.randn(N, C), samples())
    losses['loss_cls'].backward()
    assert head.cache.keys.grad.abs().sum() > 0
    assert not list(make_head(cache).cache.parameters())


@pytest.mark.parametrize('trained', [False, True])
def test_a_checkpoint_needs_no_file(cache, trained):
    head = make_head(cache, train_keys=trained)
    head.init_weights()
    state = head.state_dict()
    cache.unlink()
    other = make_head(cache)
    other.load_state_dict(state)
    views = torch.randn(N, C)
    assert torch.equal(head.eval()(views), other.eval()(views))
    assert other.cache.names == head.cache.names
    with pytest.raises(NotAtHandError, match=r'Classifier file not found: .*cache\.safetensors'):
        make_head(cache).eval()(views)


def test_other_names_keep_the_votes_of_those_that_are_known(cache):
    head = make_head(cache).eval()
    views = torch.randn(N, C)
    votes = head.cache.votes(views, FixedSource().class_names, 3.0)
    new = ('c', 'unknown', 'a')
    rows = torch.randn(3, C)
    head.class_rows.replace(ClassifierBundle.from_rows(rows, class_names=new, encoder_id='fixed/0'))
    text = 100 * F.normalize(views, dim=-1) @ F.normalize(rows, dim=-1).t()
    expected = torch.stack([votes[:, 2], torch.zeros(N), votes[:, 0]], 1)
    torch.testing.assert_close(head(views), text + 2.0 * expected, atol=1e-4, rtol=1e-5)


def test_bfloat16_votes_are_float32(cache):
    head = make_head(cache).eval()
    views = torch.randn(N, C)
    with torch.autocast('cpu', torch.bfloat16):
        assert head.cache.votes(views, FixedSource().class_names, 3.0).dtype == torch.float32


def test_what_does_not_fit_is_one_line(cache):
    with pytest.raises(UserError, match='holds 10 keys of width 32, the cache of this head has num_keys=7 of width 32'):
        make_head(cache, num_keys=7).init_weights()
    with pytest.raises(UserError, match='TipAdapterHead takes no multi_class'):
        make_head(cache, multi_class=True)
    with pytest.raises(UserError, match='num_keys is the number of videos in the cache, got 0'):
        KeyCache(cache, 0, C)


def test_alpha_of_zero_is_the_text_alone(cache):
    views = torch.randn(N, C)
    head = make_head(cache, alpha=0.0).eval()
    expected = 100 * F.normalize(views, dim=-1) @ head.class_rows.testing_rows().t()
    torch.testing.assert_close(head(views), expected, atol=1e-4, rtol=1e-5)
    assert math.isclose(head.cosine.test_scale, 100)
