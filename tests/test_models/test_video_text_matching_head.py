"""``VideoTextMatchingHead``: parity with naive references, and the classifier that follows the trained text tower."""

import copy
import logging
import math
import socket

import pytest
import torch
import torch.multiprocessing as mp
import torch.nn.functional as F
from matching_batch import build_recognizer, recognizer_step, recognizer_worker
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.model import ExponentialMovingAverage
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner.checkpoint import get_state_dict, load_state_dict
from tiny import TINY_VIT, FixedSource
from tiny_language import write_bert

from textxfer_mm.classifiers import tower_rows as tower_rows_module
from textxfer_mm.classifiers.sources import TextClassifier
from textxfer_mm.errors import NotAtHandError, UserError
from textxfer_mm.models.heads import TextEmbeddingHead, VideoTextMatchingHead
from textxfer_mm.text.clip_encoder import CLIPTextEncoder

D = 32
NAMES = ('waving', 'clapping hands', 'jumping', 'running to the left')
TEMPLATES = ['a video of a person {}.', '{}, seen from afar']
LABELS = [1, 3, 3, 0, 3]


class Encoder(CLIPTextEncoder):
    """A tiny CLIP text tower; ``at_hand=False`` is the machine without its files."""

    def __init__(self, at_hand=True):
        super().__init__(TINY_VIT)
        self.at_hand = at_hand

    def tower(self):
        if not self.at_hand:
            raise NotAtHandError('CLIP weights not found: openai.pt is not a file.')
        return super().tower()


def source(names=NAMES, templates='text4vis', at_hand=True):
    return TextClassifier(list(names), Encoder(at_hand), templates)


def make_head(text='online', classifier=None, in_channels=D, **kwargs):
    return VideoTextMatchingHead(in_channels, classifier or source(), text=text, **kwargs)


@pytest.fixture
def language_head(tmp_path):
    """A head with the tower of a tiny BERT, which has dropout."""
    pytest.importorskip('sentence_transformers')
    encoder = dict(type='LanguageModelEncoder', model=str(write_bert(tmp_path / 'bert')))
    names = ['a person waving', 'a person jumping']
    return make_head(classifier=dict(type='TextClassifier', class_names=names, encoder=encoder), in_channels=16)


def samples(labels=LABELS):
    return [ActionDataSample().set_gt_label(label) for label in labels]


def scores(head, feats):
    predicted = head.predict(feats, samples([0] * len(feats)))
    return torch.stack([sample.pred_score for sample in predicted])


def trained_head(steps=2, **kwargs):
    """A head whose tower and scale were moved by a large rate, still in training mode."""
    head = make_head(**kwargs)
    head.init_weights()
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    for step in range(steps):
        optimizer.zero_grad()
        feats = torch.randn(5, D, generator=torch.Generator().manual_seed(step))
        head.loss(feats, samples())['loss_cls'].backward()
        optimizer.step()
    return head


def tower_rows(head, names=NAMES, templates=('a video of a person {}.',)):
    """The classifier of a head's tower, one prompt at a time."""
    rows = []
    with torch.no_grad():
        for name in names:
            prompts = [head.class_rows.tower.tokenize([template.replace('{}', name)]) for template in templates]
            rows.append(sum(F.normalize(head.class_rows.tower(ids)[0], dim=0) for ids in prompts))
    return F.normalize(torch.stack(rows), dim=1)


def naive_loss(videos, texts, labels, scale, form):
    """Both directions, in loops."""
    total = 0.0
    for rows, cols in ((videos, texts), (texts, videos)):
        for i in range(len(labels)):
            terms = torch.stack([torch.exp(scale * F.cosine_similarity(rows[i], col, dim=0)) for col in cols])
            equal = torch.tensor([float(labels[i] == label) for label in labels])
            target = torch.softmax(10 * equal, 0) if form == 'kl' else equal / equal.sum()
            entropy = (target * target.log()).sum() if form == 'kl' else 0.0
            total = total + entropy - (target * (terms / terms.sum()).log()).sum()
    return total / (2 * len(labels))


class TestParity:
    @pytest.mark.parametrize('form', ['kl', 'ce'])
    def test_offline(self, form):
        head = make_head('offline', FixedSource(NAMES, D), matching_loss=form, init_scale=5.0)
        feats = torch.randn(2 * len(LABELS), D, 3, 1, 1, requires_grad=True)  # two rows a video
        leaves = feats, head.cosine.logit_scale
        loss = head.loss(feats, samples())['loss_cls']
        grads = torch.autograd.grad(loss, leaves)
        videos = torch.stack([feats[2 * i : 2 * i + 2].mean((0, 2, 3, 4)) for i in range(len(LABELS))])
        texts = head.class_rows.source.build().weight[LABELS]
        naive = naive_loss(videos, texts, LABELS, head.cosine.logit_scale.exp(), form)
        torch.testing.assert_close(loss, naive, atol=1e-5, rtol=1e-5)
        for got, want in zip(grads, torch.autograd.grad(naive, leaves), strict=True):
            torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-5)

    @pytest.mark.parametrize('templates', [TEMPLATES[:1], TEMPLATES])
    def test_online_encodes_each_text_as_if_alone(self, templates):
        head = make_head(classifier=source(templates=templates), init_scale=5.0)
        head.init_weights()
        feats = torch.randn(len(LABELS), D, requires_grad=True)
        names, leaves = zip(*[('feats', feats), *head.named_parameters()], strict=True)
        loss = head.loss(feats, samples())['loss_cls']
        grads = torch.autograd.grad(loss, leaves)
        texts = []
        for label in LABELS:  # every video's text of its own, nothing shared
            vectors = [
                head.class_rows.tower(head.class_rows.tower.tokenize([t.replace('{}', NAMES[label])]))
                for t in templates
            ]
            texts.append(torch.stack([F.normalize(vector[0], dim=0) for vector in vectors]).mean(0))
        naive = naive_loss(feats, torch.stack(texts), LABELS, head.cosine.logit_scale.exp(), 'kl')
        torch.testing.assert_close(loss, naive, atol=1e-5, rtol=1e-5)
        for name, got, want in zip(names, grads, torch.autograd.grad(naive, leaves), strict=True):
            torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-4, msg=name)
        assert any('class_rows.tower' in name for name in names)

    @pytest.mark.parametrize('text', ['online', 'offline'])
    def test_predicts_as_the_text_embedding_head(self, text):
        head, other = make_head(text), TextEmbeddingHead(D, source())
        feats = torch.randn(3, D, 2, 1, 1)
        torch.testing.assert_close(scores(head.eval(), feats), scores(other.eval(), feats), atol=1e-5, rtol=1e-4)

    @pytest.mark.parametrize('text', ['online', 'offline'])
    def test_bfloat16(self, text):
        head = make_head(text, init_scale=5.0)
        feats = torch.randn(len(LABELS), D)
        want = head.loss(feats, samples())['loss_cls']
        with torch.autocast('cpu', dtype=torch.bfloat16):
            got = head.loss(feats.bfloat16(), samples())['loss_cls']
        assert got.dtype == torch.float32
        got.backward()
        assert all(torch.isfinite(p.grad).all() for p in head.parameters() if p.requires_grad)
        torch.testing.assert_close(got, want, atol=2e-2, rtol=2e-2)

    def test_accuracies_of_the_log(self):
        head = make_head('offline', FixedSource(NAMES, D), topk=(1, 2))
        rows = head.class_rows.source.build().weight
        losses = head.loss(rows[[1, 3, 0]], samples([1, 3, 2]))
        assert set(losses) == {'loss_cls', 'top1_acc', 'top2_acc'}
        assert losses['top1_acc'].item() == pytest.approx(2 / 3)
        online = make_head()
        losses = online.loss(tower_rows(online)[[1, 3, 3, 3]], samples([1, 3, 2, 3]))
        assert set(losses) == {'loss_cls', 'match_acc'}
        assert losses['match_acc'].item() == pytest.approx(3 / 4)


class TestTrainedTower:
    def test_every_weight_of_the_tower_is_trained(self):
        head = make_head()
        head.loss(torch.randn(5, D), samples())['loss_cls'].backward()
        assert all(p.grad is not None for p in head.parameters())
        assert all(p.grad.abs().sum() > 0 for name, p in head.named_parameters() if 'resblocks' not in name)

    def test_pooler_of_a_language_model_is_frozen(self, language_head):
        head = language_head
        head.loss(torch.randn(3, 16), samples([0, 1, 1]))['loss_cls'].backward()
        frozen = {name for name, p in head.named_parameters() if not p.requires_grad}
        assert frozen
        assert all('pooler' in name for name in frozen)
        assert all(p.grad is not None for p in head.parameters() if p.requires_grad)

    def test_rows_know_no_dropout(self, language_head):
        """A checkpoint is saved while the model is in training mode."""
        head = language_head.train()
        head.init_weights()
        torch.testing.assert_close(head.class_rows.weight, head.class_rows.source.build().weight)
        assert head.class_rows.tower.training
        ids = head.class_rows.tower.tokenize(['a person waving'])
        assert not torch.equal(head.class_rows.tower(ids), head.class_rows.tower(ids))  # training itself has it

    def test_testing_uses_the_tower_as_it_is(self):
        head, feats = trained_head(), torch.randn(4, D)
        rows = tower_rows(head)
        assert (rows - head.class_rows.source.build().weight).abs().max() > 1e-2
        want = (100 * F.normalize(feats, dim=1) @ rows.t()).softmax(1)
        torch.testing.assert_close(scores(head, feats), want, atol=1e-4, rtol=1e-4)  # predicting in training mode
        torch.testing.assert_close(scores(head.eval(), feats), want, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(head.class_rows.weight, rows, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(head.class_rows.bundle().weight, rows, atol=1e-5, rtol=1e-5)
        assert head.class_rows.tower.training is False
        assert head.train().class_rows.tower.training is True

    def test_forward_in_training_reaches_the_tower(self):
        head, feats = trained_head(), torch.randn(4, D)
        out = head(feats)
        want = head.cosine.logit_scale.exp() * F.normalize(feats, dim=1) @ tower_rows(head).t()
        torch.testing.assert_close(out, want, atol=1e-4, rtol=1e-4)
        head.zero_grad()
        out[:, 0].sum().backward()
        assert head.class_rows.tower.model.text_projection.grad.abs().sum() > 0

    def test_tower_has_a_rate_of_its_own(self):
        init_default_scope('mmaction')
        head = dict(type='VideoTextMatchingHead', in_channels=D, classifier=source())
        model = MODELS.build(
            dict(type='Recognizer3D', backbone=dict(type='CLIPBackbone', arch=TINY_VIT), cls_head=head)
        )
        keys = {
            'backbone': dict(lr_mult=0.1),
            'cls_head.class_rows.tower': dict(lr_mult=0.1),
            'logit_scale': dict(lr_mult=0.5),
        }
        wrapper = build_optim_wrapper(
            model,
            dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1.0), paramwise_cfg=dict(custom_keys=keys)),
        )
        rates = {id(p): group['lr'] for group in wrapper.param_groups for p in group['params']}
        assert {rates[id(p)] for p in model.cls_head.class_rows.tower.parameters()} == {0.1}
        assert rates[id(model.cls_head.cosine.logit_scale)] == 0.5

    def test_a_classifier_that_is_given_holds_until_training_goes_on(self):
        head = trained_head()
        head.class_rows.replace(FixedSource(('u', 'v'), D).build())
        rows = FixedSource(('u', 'v'), D).build().weight
        torch.testing.assert_close(head.eval().class_rows.bundle().weight, rows)
        torch.testing.assert_close(head.state_dict()['class_rows.weight'], rows)
        assert scores(head, torch.randn(2, D)).shape == (2, 2)

    def test_moving_average_saves_the_rows_of_its_own_tower(self):
        head = make_head()
        ema = ExponentialMovingAverage(head, momentum=0.5)  # EMAHook copies the model before its weights are fetched
        head.init_weights()
        for _ in range(3):
            with torch.no_grad():
                for parameter in head.class_rows.tower.parameters():
                    parameter.add_(0.1 * torch.randn_like(parameter))
            ema.update_parameters(head)
        state = ema.module.state_dict()
        torch.testing.assert_close(state['class_rows.weight'], tower_rows(ema.module), atol=1e-5, rtol=1e-5)
        assert (state['class_rows.weight'] - head.state_dict()['class_rows.weight']).abs().max() > 1e-2

    def test_weights_swapped_before_evaluation(self):
        head = trained_head()
        head.state_dict()  # a checkpoint was saved: the rows are up to date
        for parameter in head.class_rows.tower.parameters():
            parameter.data.mul_(1.5)  # what EMAHook does
        head.eval()
        head.predict(torch.randn(1, D), samples([0]))
        torch.testing.assert_close(head.class_rows.weight, tower_rows(head), atol=1e-5, rtol=1e-5)


@pytest.fixture
def log_lines(caplog):
    """What the class rows log."""
    caplog.set_level(logging.INFO, 'textxfer_mm')
    return caplog


@pytest.fixture(params=['torch', 'mmengine'])
def load(request):
    """The two ways a checkpoint comes back, all of it or an error; saved as the Runner saves."""

    def through(head, trained):
        state = get_state_dict(trained)
        if request.param == 'torch':
            head.load_state_dict(state, strict=True)
        else:
            load_state_dict(head, copy.deepcopy(state), strict=True)
        return head

    return through


@pytest.fixture
def encodings(monkeypatch):
    """How often a tower encoded all classes."""
    calls, encode = [], tower_rows_module.encode_in_batches
    monkeypatch.setattr(tower_rows_module, 'encode_in_batches', lambda *a, **k: (calls.append(1), encode(*a, **k))[1])
    return calls


class TestCheckpoint:
    def test_round_trip_while_training(self, load, encodings):
        head, feats = trained_head(), torch.randn(4, D)
        other = load(make_head(), head)
        want = (100 * F.normalize(feats, dim=1) @ tower_rows(head).t()).softmax(1)
        encodings.clear()
        torch.testing.assert_close(scores(other.eval(), feats), want, atol=1e-4, rtol=1e-4)
        assert not encodings  # testing runs no text encoder
        resumed, goes_on = (h.train().loss(feats, samples([0, 1, 2, 3]))['loss_cls'] for h in (other, head))
        torch.testing.assert_close(resumed, goes_on)

    @pytest.mark.parametrize('text', ['online', 'offline'])
    def test_tests_without_the_files_of_the_text_encoder(self, load, log_lines, text):
        head, feats = trained_head(), torch.randn(4, D)
        other = load(make_head(text, source(at_hand=False)), head)
        torch.testing.assert_close(scores(other.eval(), feats), scores(head.eval(), feats))
        assert getattr(other.class_rows, 'tower', None) is None
        assert other.class_rows.class_names == NAMES
        assert any("checkpoint's text tower (29 tensors) is left out" in line for line in log_lines.messages)
        torch.testing.assert_close(other.state_dict()['class_rows.weight'], head.state_dict()['class_rows.weight'])

    def test_offline(self, load):
        head = make_head('offline', init_scale=3.0)
        head.init_weights()
        other = load(make_head('offline', source(at_hand=False)), head)
        feats = torch.randn(4, D)
        torch.testing.assert_close(scores(other.eval(), feats), scores(head.eval(), feats))
        assert other.cosine.logit_scale.exp().item() == pytest.approx(3.0)

    @pytest.mark.parametrize('used', [False, True])
    def test_other_names_are_encoded_by_the_trained_tower(self, load, log_lines, used):
        head, names = trained_head(), ('sitting', 'standing up', 'lying')
        other = make_head(classifier=source(names))
        if used:
            other.eval()(torch.randn(1, D))
        load(other, head)
        out = other.eval()(torch.randn(4, D))
        assert out.shape == (4, 3)
        torch.testing.assert_close(other.class_rows.weight, tower_rows(head, names), atol=1e-5, rtol=1e-5)
        assert any("is replaced by the config's (class names: sitting" in line for line in log_lines.messages)
        assert not any('Its rows were trained' in line for line in log_lines.messages)
        # Its training has made two of them equal, which is no mistake of the names.
        assert used or any('cannot tell 2 of 3 classes apart' in line for line in log_lines.messages)

    def test_other_names_offline_are_warned_about(self, load, log_lines):
        load(make_head('offline', source(('sitting', 'lying'))), trained_head())
        assert any('Its rows were trained; the features may not fit others.' in line for line in log_lines.messages)

    def test_other_names_without_the_tower_are_an_error(self, load):
        other = load(make_head(classifier=source(('sitting', 'lying'), at_hand=False)), trained_head())
        with pytest.raises(
            UserError, match=r'needed for training, and for other class names.*openai\.pt is not a file'
        ):
            other.eval()(torch.randn(1, D))

    def test_training_without_the_tower_is_an_error(self):
        head = make_head(classifier=source(at_hand=False))
        with pytest.raises(UserError, match=r'needed for training.*openai\.pt is not a file'):
            head.init_weights()

    def test_fine_tuning_starts_from_the_tower_of_the_checkpoint(self, load):
        head, names = trained_head(), ('sitting', 'standing up', 'lying')
        other = make_head(classifier=source(names))
        other.init_weights()
        load(other, head)
        rows = other.class_rows.training_rows(torch.arange(3))
        torch.testing.assert_close(F.normalize(rows, dim=1), tower_rows(head, names), atol=1e-5, rtol=1e-5)


class TestErrors:
    @pytest.mark.parametrize('text', ['online', 'offline'])
    def test_one_class_in_the_batch(self, text):
        with pytest.raises(UserError, match='All 3 videos of this batch are of class 2: there is nothing to match'):
            make_head(text).loss(torch.randn(3, D), samples([2, 2, 2]))

    def test_one_class_at_all(self):
        with pytest.raises(UserError, match=r"there is only one, 'waving'\. Give two or more"):
            make_head(classifier=source(['waving']))

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            (dict(text='onlin'), r"Unknown text='onlin'.*Did you mean: online"),
            (dict(matching_loss='nce'), r"Unknown matching_loss='nce' of VideoTextMatchingHead\. Did you mean: ce\?"),
            (dict(average_clips='features'), r"Unknown average_clips='features'"),
            (dict(text='offline', text_batch_size=4), "text_batch_size=4 has no effect with text='offline'"),
            (dict(label_smooth_eps=0.1), 'takes no label_smooth_eps: its loss is the matching loss'),
        ],
    )
    def test_options(self, options, message):
        with pytest.raises(UserError, match=message):
            make_head(**options)

    def test_no_text_tower(self):
        with pytest.raises(UserError, match=r"FixedSource has none. Use a TextClassifier, or text='offline'"):
            make_head(classifier=FixedSource(NAMES, D))

    @pytest.mark.parametrize('label', [torch.tensor([0.5, 0.5, 0.0, 0.0]), torch.tensor([1, 0, 1, 0])])
    def test_labels_of_several_classes(self, label):
        with pytest.raises(UserError, match=r'needs one class a video, got a label of shape \(4,\)'):
            make_head('offline').loss(torch.randn(2, D), [ActionDataSample().set_gt_label(label)] * 2)

    @pytest.mark.parametrize('label', [-1, 4])
    def test_labels_out_of_range(self, label):
        with pytest.raises(UserError, match=f'Label {label} is out of range: the head has 4 classes, 0 to 3'):
            make_head('offline').loss(torch.randn(2, D), samples([0, label]))

    def test_scale_is_positive(self):
        with pytest.raises(UserError, match='init_scale is a positive number'):
            make_head(init_scale=-math.pi)


@pytest.fixture(scope='module')
def two(tmp_path_factory):
    """What two gloo processes saw."""
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    path = tmp_path_factory.mktemp('two') / 'two.pt'
    mp.spawn(recognizer_worker, args=(port, path), nprocs=2)
    return torch.load(path, weights_only=True)


@pytest.mark.parametrize('text', ['online', 'offline'])
def test_two_processes_equal_one(two, text):
    model = build_recognizer(text)
    loss = recognizer_step(model, [0, 1, 2, 3])
    assert two[text]['loss'].item() == pytest.approx(loss.item(), abs=1e-6)
    grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert grads.keys() == two[text]['grads'].keys()
    assert 'cls_head.cosine.logit_scale' in grads
    assert any(name.startswith('backbone.visual.') for name in grads)
    assert any(name.startswith('cls_head.class_rows.tower.') for name in grads) == (text == 'online')
    for name, grad in grads.items():
        scale = max(grad.abs().max().item(), 1.0)
        assert (two[text]['grads'][name] - grad).abs().max().item() <= 1e-6 * scale, name
