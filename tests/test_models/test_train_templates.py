"""One of several templates a training iteration."""

import itertools
from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from mmaction.structures import ActionDataSample
from mmengine.logging import MessageHub
from tiny import TINY_VIT, FixedSource

from textxfer_mm.classifiers.sources import TextClassifier
from textxfer_mm.errors import UserError
from textxfer_mm.models.heads import TextEmbeddingHead
from textxfer_mm.text.clip_encoder import CLIPTextEncoder
from textxfer_mm.text.templates import TEMPLATES

N, D = 4, 32
NAMES = ['riding a bike', 'jumping', 'dancing']
TRAIN = ['{}', 'a video of {}', '{}, an action']


def source(templates='text4vis'):
    return TextClassifier(NAMES, CLIPTextEncoder(TINY_VIT), templates)


def make_head(**kwargs):
    kwargs = dict(dict(classifier=source(), train_templates=TRAIN), **kwargs)
    return TextEmbeddingHead(D, **kwargs)


@pytest.fixture
def hub():
    """The message hub of a runner that trains; it does not outlive the test."""
    hub = MessageHub.get_current_instance()
    hub.update_info('loop_stage', 'train')
    yield hub
    hub.pop_info('loop_stage')
    hub.pop_info('iter', None)


def which(logits, feats, scale):
    """The template whose classifier gives these logits."""
    candidates = [scale * F.normalize(feats, dim=-1) @ source([t]).build().weight.t() for t in TRAIN]
    matches = [i for i, c in enumerate(candidates) if torch.allclose(logits, c, rtol=1e-4, atol=1e-4)]
    assert len(matches) == 1
    return matches[0]


def test_training_draws_one_for_all_classes_and_testing_uses_the_classifiers_own():
    head = make_head(init_scale=10.0)
    feats = torch.randn(N, D)
    drawn = [which(head.train()(feats), feats, 10.0) for _ in range(30)]
    assert set(drawn) == {0, 1, 2}
    want = 100 * F.normalize(feats, dim=-1) @ source().build().weight.t()
    torch.testing.assert_close(head.eval()(feats), want, rtol=1e-4, atol=1e-3)
    assert head.class_rows.templates == ('a video of a person {}.',)


def test_a_first_pass_in_inference_mode_leaves_what_training_can_use():
    head, feats = make_head(), torch.randn(N, D, requires_grad=True)
    with torch.inference_mode():
        head(feats)
    assert not head.class_rows.train_rows.is_inference()  # moving averages write into it
    head(feats).sum().backward()
    assert feats.grad.any()


def test_loss_against_naive():
    head = make_head(init_scale=10.0)
    feats = torch.randn(N, D, requires_grad=True)
    samples = [ActionDataSample().set_gt_label(i % 3) for i in range(N)]
    logits = head(feats)
    head.class_rows._step._count = 0  # the same draw again
    loss = head.loss(feats, samples)['loss_cls']
    rows = source([TRAIN[which(logits, feats, 10.0)]]).build().weight
    cosine = (feats @ rows.t()) / feats.norm(dim=1, keepdim=True)
    naive = F.cross_entropy(10.0 * cosine, torch.arange(N) % 3)
    torch.testing.assert_close(loss, naive)
    grads = [torch.autograd.grad(x, feats)[0] for x in (loss, naive)]
    torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-6)


def test_draws_are_uniform_and_of_the_seed(hub):
    def draws(seed, iterations):
        templates = make_head(template_seed=seed).class_rows
        drawn = []
        for i in iterations:
            hub.update_info('iter', i)
            drawn.append(templates.draw())
        return drawn

    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    first = draws(0, range(3000))
    torch.testing.assert_close(torch.rand(1), expected, rtol=0, atol=0)  # no global random state
    counts = Counter(first)
    assert all(abs(counts[i] - 1000) < 120 for i in range(3))  # 4.6 standard deviations
    pairs = Counter(itertools.pairwise(first))
    assert all(abs(pairs[i, j] - 333) < 85 for i in range(3) for j in range(3))  # one draw tells nothing of the next
    assert draws(0, range(1000, 1020)) == first[1000:1020]  # resumed
    assert draws(1, range(20)) != first[:20]


def test_without_a_runner_it_counts():
    MessageHub.get_current_instance().update_info('iter', 7)  # left behind by a runner that has ended
    drawn = [make_head().class_rows.draw() for _ in range(2)]
    assert drawn[0] == drawn[1]
    templates = make_head().class_rows
    assert len({templates.draw() for _ in range(30)}) == 3
    MessageHub.get_current_instance().pop_info('iter')


def test_nothing_of_it_is_in_the_checkpoint():
    head = make_head()
    head.init_weights()
    plain = TextEmbeddingHead(D, source())
    plain.load_state_dict(head.state_dict())
    head.load_state_dict(plain.state_dict())
    assert set(head.state_dict()) == set(plain.state_dict())
    assert head.class_rows.train_rows.shape == (3, 3, D)


def test_testing_encodes_no_template_of_training(monkeypatch):
    head = make_head()
    head.init_weights()
    state, x = head.state_dict(), torch.randn(N, D)
    want = head.eval()(x)
    monkeypatch.setattr(CLIPTextEncoder, 'encode', lambda *args: pytest.fail('the text encoder was asked'))
    monkeypatch.setattr('textxfer_mm.classifiers.sources.cached_bundle', lambda key, build: build())
    other = make_head()
    other.load_state_dict(state)
    torch.testing.assert_close(other.eval()(x), want)


def test_the_encoder_may_stay_behind(tmp_path):
    gone = dict(type='LanguageModelEncoder', model=str(tmp_path / 'gone'))
    cfg = dict(type='TextClassifier', class_names=NAMES, encoder=gone)
    head = make_head(classifier=FixedSource(NAMES, D), train_templates=None)
    head.class_rows.source.templates, head.class_rows.source.encoder_id = (
        ('a video of a person {}.',),
        f'language_model/{gone["model"]}/auto',
    )
    head.init_weights()
    other = make_head(classifier=cfg, embed_dims=D)
    other.load_state_dict(head.state_dict())
    feats = torch.randn(N, D)
    torch.testing.assert_close(other.eval()(feats), head.eval()(feats))


def test_encoded_once_with_the_encoder_loaded_once(monkeypatch):
    loads = []
    real = CLIPTextEncoder.tower
    monkeypatch.setattr(CLIPTextEncoder, 'tower', lambda self: loads.append(1) or real(self))
    head = make_head(train_templates='clip_kinetics')
    head.class_rows.fill()
    loads.clear()
    head.train()
    with torch.inference_mode():
        head(torch.randn(N, D))
    assert len(loads) == 1
    assert head.class_rows.source.encoder._tower is None
    feats = torch.randn(N, D, requires_grad=True)
    head(feats).sum().backward()  # rows that were made in inference mode serve training
    assert feats.grad.any()
    assert len(loads) == 1
    assert head.class_rows.train_templates == TEMPLATES['clip_kinetics']
    make_head(train_templates='clip_kinetics').class_rows.init_weights()
    assert len(loads) == 1  # from the cache


def test_errors():
    with pytest.raises(UserError, match=r'train_templates needs a classifier made of templates .*, not FixedSource'):
        make_head(classifier=FixedSource(embed_dims=D))
    with pytest.raises(UserError, match=r'exactly one \{\}'):
        make_head(train_templates=['{}', 'a video'])
    with pytest.raises(UserError, match='Did you mean: clip_kinetics'):
        make_head(train_templates='clip_kinetic')
    with pytest.raises(UserError, match='frozen=False trains one itself'):
        make_head(frozen=False)
    with pytest.raises(UserError, match='`template_seed` is an integer that is not negative, got -1'):
        make_head(template_seed=-1)
    with pytest.raises(UserError, match='template_seed=3 has no effect without train_templates'):
        make_head(train_templates=None, template_seed=3)
