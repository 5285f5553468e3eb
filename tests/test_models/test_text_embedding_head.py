"""``TextEmbeddingHead``: parity with naive references, and the classifier that belongs to the checkpoint."""

import logging
import math

import pytest
import torch
import torch.nn.functional as F
from mmaction.structures import ActionDataSample
from mmengine.model import ExponentialMovingAverage
from mmengine.runner.checkpoint import load_state_dict
from tiny import TINY_VIT, FixedSource

from textxfer_mm.errors import NotAtHandError, UserError
from textxfer_mm.layers.cosine import cosine_logits
from textxfer_mm.layers.projections import ConSE
from textxfer_mm.models.heads import TextEmbeddingHead

N, V, T, D, K = 3, 4, 5, 32, 6


def samples(num=N, labels=None):
    labels = labels if labels is not None else [i % K for i in range(num)]
    return [ActionDataSample().set_gt_label(label) for label in labels]


def make_head(**kwargs):
    kwargs = dict(dict(in_channels=D, classifier=FixedSource(embed_dims=D)), **kwargs)
    return TextEmbeddingHead(**kwargs)


def naive_cosine(x, w, scale):
    out = torch.zeros(len(x), len(w))
    for i in range(len(x)):
        for k in range(len(w)):
            out[i, k] = scale * (x[i] * w[k]).sum() / (x[i].pow(2).sum().sqrt() * w[k].pow(2).sum().sqrt())
    return out


def scores(predictions):
    return torch.stack([p.pred_score for p in predictions])


class TestParity:
    def test_cosine_logits_forward_and_gradient(self):
        x, w = torch.randn(N, D, requires_grad=True), torch.randn(K, D, requires_grad=True)
        s = torch.tensor(math.log(20.0), requires_grad=True)
        weights = torch.randn(N, K)
        (cosine_logits(x, w, s.exp()) * weights).sum().backward()
        got = [t.grad.clone() for t in (x, w, s)]
        for t in (x, w, s):
            t.grad = None
        out = naive_cosine(x, w, s.exp())
        (out * weights).sum().backward()
        torch.testing.assert_close(cosine_logits(x, w, s.exp()), out, atol=1e-5, rtol=1e-5)
        for a, t in zip(got, (x, w, s), strict=True):
            torch.testing.assert_close(a, t.grad, atol=1e-5, rtol=1e-5)

    def test_loss_and_gradient(self):
        head = make_head(in_channels=8, projection='linear')
        feats = torch.randn(N, 8, T, 2, 2, requires_grad=True)
        loss = head.loss(feats, samples())['loss_cls']
        loss.backward()
        grad, grad_scale = feats.grad.clone(), head.cosine.logit_scale.grad.clone()
        feats.grad = head.cosine.logit_scale.grad = None

        weight = head.class_rows.source.build().weight
        pooled = torch.stack([feats[n].reshape(8, -1).mean(1) for n in range(N)])
        logits = naive_cosine(pooled @ head.projection.weight.t(), weight, head.cosine.logit_scale.exp())
        naive = -torch.stack([torch.log(torch.softmax(logits[n], 0)[n]) for n in range(N)]).mean()
        naive.backward()
        torch.testing.assert_close(loss, naive, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(grad, feats.grad, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(grad_scale, head.cosine.logit_scale.grad, atol=1e-5, rtol=1e-5)

    @pytest.mark.parametrize('average_clips', ['feature', 'prob', 'score', None])
    def test_views(self, average_clips):
        head = make_head(average_clips=average_clips).eval()
        feats = torch.randn(N * V, D, 1, 1) * torch.rand(N * V, 1, 1, 1) * 10  # views of different norms
        got = scores(head.predict(feats, samples()))
        w = head.class_rows.source.build().weight
        x = feats.view(N, V, D)
        if average_clips == 'feature':
            want = naive_cosine(torch.stack([sum(x[n]) / V for n in range(N)]), w, 100.0).softmax(-1)
        else:
            logits = torch.stack([naive_cosine(x[n], w, 100.0) for n in range(N)])  # (N, V, K)
            want = {'prob': logits.softmax(-1).mean(1), 'score': logits.mean(1), None: logits}[average_clips]
        torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-4)

    def test_frames_of_2d_recognisers_become_clips(self):
        head = make_head(average_clips='prob', num_segments=T).eval()
        feats = torch.randn(N * V * T, D, 2, 2)
        got = scores(head.predict(feats, samples(), num_segs=V * T, fcn_test=False))
        x = feats.mean((2, 3)).view(N, V, T, D).mean(2)
        w = head.class_rows.source.build().weight
        want = torch.stack([naive_cosine(x[n], w, 100.0).softmax(-1).mean(0) for n in range(N)])
        torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-4)

    def test_training_learns_the_scale_and_testing_uses_100(self):
        head = make_head(init_scale=7.0)
        feats, w = torch.randn(N, D), head.class_rows.source.build().weight
        torch.testing.assert_close(head(feats), naive_cosine(feats, w, 7.0), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(head.eval()(feats), naive_cosine(feats, w, 100.0), atol=1e-4, rtol=1e-5)
        learned = make_head(init_scale=7.0, test_scale=None).eval()
        torch.testing.assert_close(learned(feats), naive_cosine(feats, w, 7.0), atol=1e-5, rtol=1e-5)

    def test_dropout_masks_the_features_and_not_their_projection(self):
        head = make_head(in_channels=8, projection='linear', dropout_ratio=0.5)
        feats = torch.randn(20, 8)
        rows = head.embed(feats)  # (20, D), D > 8: the features can be told from their projections
        masked = torch.linalg.lstsq(head.projection.weight, rows.t()).solution.t()  # (20, 8)
        torch.testing.assert_close(masked @ head.projection.weight.t(), rows, atol=1e-5, rtol=1e-5)
        kept = masked.abs() > 1e-4
        torch.testing.assert_close(masked, 2 * feats * kept, atol=1e-4, rtol=1e-4)
        assert 40 < kept.sum() < 120
        torch.testing.assert_close(head.eval().embed(feats), feats @ head.projection.weight.t(), atol=1e-5, rtol=1e-5)

    def test_label_smoothing(self):
        head = make_head(label_smooth_eps=0.3)
        feats = torch.randn(N, D)
        logits = naive_cosine(feats, head.class_rows.source.build().weight, 100.0)
        want = F.cross_entropy(logits, torch.arange(N), label_smoothing=0.3)
        torch.testing.assert_close(head.loss(feats, samples())['loss_cls'], want, atol=1e-4, rtol=1e-5)

    def test_soft_labels(self):
        head = make_head()
        feats, target = torch.randn(N, D), torch.rand(N, K).softmax(-1)
        logits = naive_cosine(feats, head.class_rows.source.build().weight, 100.0)
        want = F.cross_entropy(logits, target)
        losses = head.loss(feats, [ActionDataSample().set_gt_label(t) for t in target])
        torch.testing.assert_close(losses['loss_cls'], want, atol=1e-4, rtol=1e-5)
        assert 'top1_acc' not in losses

    def test_multi_label(self):
        head = make_head(multi_class=True, init_scale=10.0, init_bias=-2.0)
        feats, target = torch.randn(N, D), (torch.rand(N, K) > 0.5).float()
        data_samples = [ActionDataSample().set_gt_label(t) for t in target]
        logits = naive_cosine(feats, head.class_rows.source.build().weight, 10.0) - 2.0
        want = -(target * torch.log(logits.sigmoid()) + (1 - target) * torch.log(1 - logits.sigmoid())).mean()
        loss = head.loss(feats, data_samples)['loss_cls']
        torch.testing.assert_close(loss, want, atol=1e-5, rtol=1e-5)
        loss.backward()
        assert head.cosine.logit_bias.grad.abs() > 0
        got = scores(head.eval().predict(feats, data_samples))
        torch.testing.assert_close(got, logits.sigmoid().detach(), atol=1e-5, rtol=1e-5)

    def test_bf16_against_fp32(self):
        head = make_head(in_channels=64, projection='mlp').eval()
        feats = torch.randn(N * V, 64, 2, 2)
        want = scores(head.predict(feats, samples()))
        with torch.autocast('cpu', dtype=torch.bfloat16):
            predicted = scores(head.predict(feats.bfloat16(), samples()))
            losses = head.loss(feats.bfloat16(), samples())
        assert predicted.dtype == torch.float32
        assert losses['loss_cls'].dtype == torch.float32
        cosines = [torch.log(s.clamp_min(1e-30)) / 100 for s in (predicted, want)]  # cosines up to a constant a row
        a, b = (c - c.max(-1, keepdim=True).values for c in cosines)
        torch.testing.assert_close(a, b, atol=1e-2, rtol=1e-2)

    def test_top_k_accuracy_matches_base_head(self):
        head = make_head(topk=(1, 2))
        w = head.class_rows.source.build().weight
        losses = head.loss(w[[0, 1, 5]], samples(labels=[0, 1, 2]))
        assert losses['top1_acc'].item() == pytest.approx(2 / 3)


def test_conse_against_naive():
    conse = ConSE(8, D, num_concepts=20, temperature=0.7, top_k=3, residual=True)
    torch.nn.init.normal_(conse.residual.weight)
    conse.load(torch.randn(20, 8), torch.randn(20), torch.randn(20, D))
    x = torch.randn(N, 8, requires_grad=True)
    out = conse(x)
    out.square().sum().backward()
    grad, x.grad = x.grad.clone(), None
    rows = []
    for n in range(N):
        logits = (conse.fc.weight @ x[n] + conse.fc.bias) / 0.7
        best = logits.argsort(descending=True)[:3]
        prob = torch.softmax(logits, 0)[best]
        rows.append((prob / prob.sum()) @ conse.concepts[best] + conse.residual.weight @ x[n])
    naive = torch.stack(rows)
    naive.square().sum().backward()
    torch.testing.assert_close(out, naive, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(grad, x.grad, atol=1e-4, rtol=1e-4)


def test_conse_in_bfloat16():
    conse = ConSE(8, D, num_concepts=20, top_k=3)
    conse.load(torch.randn(20, 8), torch.randn(20), torch.randn(20, D))
    x = torch.randn(N, 8)
    want = conse(x)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        torch.testing.assert_close(conse(x), want)
    got = conse.bfloat16()(x.bfloat16())
    torch.testing.assert_close(got, want, atol=0.1, rtol=0.1)


def test_conse_residual_starts_at_exact_conse():
    torch.manual_seed(0)
    plain = ConSE(8, D, num_concepts=20)
    extended = ConSE(8, D, num_concepts=20, residual=True)
    tensors = torch.randn(20, 8), torch.randn(20), torch.randn(20, D)
    plain.load(*tensors)
    extended.load(*tensors)
    x = torch.randn(N, 8)
    torch.testing.assert_close(extended(x), plain(x))


class NoEncoder(FixedSource):
    """The machine without a text encoder."""

    def build(self):
        raise AssertionError('the text encoder was asked')


class NoFile(NoEncoder):
    """The machine without the class-name file."""

    def __init__(self):
        self.embed_dims = D

    @property
    def class_names(self):
        raise NotAtHandError('class-name file labels.txt does not exist')

    templates = encoder_id = class_names


@pytest.fixture
def log_lines(caplog):
    """What the class rows log."""
    caplog.set_level(logging.INFO, 'textxfer_mm')
    return caplog


class TestCheckpoint:
    def trained(self, **kwargs):
        torch.manual_seed(1)
        head = make_head(in_channels=8, projection='linear', **kwargs)
        head.init_weights()
        return head

    @pytest.mark.parametrize('source', [NoEncoder(embed_dims=D), NoFile()])
    def test_needs_no_text_encoder(self, load, source):
        head = self.trained()
        other = make_head(in_channels=8, projection='linear', classifier=source)
        load(other, head.state_dict())
        feats = torch.randn(N * V, 8)
        want = scores(head.eval().predict(feats, samples()))
        torch.testing.assert_close(scores(other.eval().predict(feats, samples())), want)
        assert other.class_rows.class_names == head.class_rows.class_names
        assert other.num_classes == K
        assert other.class_rows.encoder_id == 'fixed/0'
        assert other.class_rows.bundle().templates == ('{}',)

    def test_class_name_file_may_stay_behind(self, load, tmp_path):
        names = tmp_path / 'labels.txt'
        names.write_text('waving\nclapping\n')
        encoder = dict(type='CLIPTextEncoder', arch=TINY_VIT)
        cfg = dict(type='TextClassifier', class_names=str(names), encoder=encoder)
        head = make_head(classifier=cfg)
        head.init_weights()
        names.unlink()
        other = make_head(classifier=cfg)
        load(other, head.state_dict())
        assert other.class_rows.class_names == ('waving', 'clapping')
        assert other.num_classes == 2
        torch.testing.assert_close(other.eval()(torch.ones(1, D)), head.eval()(torch.ones(1, D)))
        with pytest.raises(UserError, match=r'labels\.txt'):
            make_head(classifier=cfg).init_weights()

    def test_names_that_are_wrong_are_not_names_that_are_missing(self):
        encoder = dict(type='CLIPTextEncoder', arch=TINY_VIT)
        with pytest.raises(UserError, match='ucf101'):
            make_head(classifier=dict(type='TextClassifier', class_names='ucf11', encoder=encoder))

    def test_width_of_an_absent_encoder(self, load, tmp_path):
        absent = dict(type='LanguageModelEncoder', model=str(tmp_path / 'gone'))
        cfg = dict(type='TextClassifier', class_names=['a', 'b'], encoder=absent)
        with pytest.raises(UserError, match=r'cannot be known here, .* give embed_dims=\.\.\.'):
            make_head(in_channels=8, projection='linear', classifier=cfg)
        head = make_head(in_channels=8, projection='linear', classifier=FixedSource(('a', 'b'), D))
        head.class_rows.source.templates, head.class_rows.source.encoder_id = (
            ('a video of a person {}.',),
            'language_model/gone/auto',
        )
        head.init_weights()
        cfg['encoder'] = dict(absent, model='gone')
        other = make_head(in_channels=8, projection='linear', embed_dims=D, classifier=cfg)
        load(other, head.state_dict())
        feats = torch.randn(N, 8)
        torch.testing.assert_close(other.eval()(feats), head.eval()(feats))

    def test_a_trained_classifier_that_is_replaced_is_a_warning(self, log_lines):
        source = FixedSource(class_names=('u', 'v', 'w'), embed_dims=D)
        other = make_head(in_channels=8, projection='linear', classifier=source)
        load_state_dict(other, self.trained(frozen=False).state_dict())
        assert 'Its rows were trained' in log_lines.messages[-1]

    def test_the_buffer_is_a_copy_that_training_can_use(self):
        source = FixedSource(embed_dims=D)
        bundle = source.build()
        source.build = lambda: bundle
        head = make_head(classifier=source).double()
        with torch.inference_mode():
            head(torch.randn(N, D).double())
        assert not head.class_rows.weight.is_inference()
        head.class_rows.weight.zero_()
        assert bundle.weight.any()

    def test_nothing_is_encoded_twice(self, load):
        head = self.trained()
        other = make_head(in_channels=8, projection='linear')
        load(other, head.state_dict())
        other.init_weights()
        other(torch.randn(N, 8))
        assert other.class_rows.source.builds == 0
        assert head.class_rows.source.builds == 1

    def test_other_class_names_replace_the_classifier(self, load, log_lines):
        head = self.trained()
        source = FixedSource(class_names=('u', 'v', 'w'), embed_dims=D, seed=5)
        other = make_head(in_channels=8, projection='linear', classifier=source)
        load(other, head.state_dict())
        assert (
            "6 classes; class names: a, b, c, ... (6 in all)) is replaced by the config's (class names: u, v, w)"
            in log_lines.messages[-1]
        )
        feats = torch.randn(N, 8)
        logits = other.eval()(feats)
        embeddings = feats @ head.projection.weight.t()
        torch.testing.assert_close(logits, naive_cosine(embeddings, source.build().weight, 100.0), atol=1e-4, rtol=1e-4)
        assert other.class_rows.class_names == ('u', 'v', 'w')

    @pytest.mark.parametrize(
        ('seed', 'templates', 'line'),
        [
            (0, ('a video of {}.',), "templates: {}) is replaced by the config's (templates: a video of {}.)"),
            (5, ('{}',), "encoder: fixed/0) is replaced by the config's (encoder: fixed/5)"),
        ],
    )
    def test_other_templates_or_encoder_replace_the_classifier(self, load, log_lines, seed, templates, line):
        head = self.trained()
        source = FixedSource(embed_dims=D, seed=seed)
        source.templates = templates
        other = make_head(in_channels=8, projection='linear', classifier=source)
        load(other, head.state_dict())
        assert line in log_lines.messages[-1]
        other(torch.randn(N, 8))
        torch.testing.assert_close(other.class_rows.weight, source.build().weight)

    def test_other_width_is_an_error(self, load):
        other = make_head(in_channels=8, projection='linear', classifier=FixedSource(embed_dims=16))
        with pytest.raises(UserError, match="checkpoint's class rows have width 32, this model's 16"):
            load(other, self.trained().state_dict())

    def test_classifier_without_names_is_an_error(self):
        state = self.trained().state_dict()
        state.pop('class_rows._extra_state')
        with pytest.raises(UserError, match='without class names'):
            load_state_dict(make_head(in_channels=8, projection='linear'), state)

    def test_checkpoint_of_another_head_leaves_the_text_classifier(self):
        other = make_head(in_channels=8, projection='linear')
        load_state_dict(other, {'fc_cls.weight': torch.randn(K, 8)})
        other(torch.randn(N, 8))
        assert other.class_rows.source.builds == 1

    def test_trained_classifier(self, load):
        head = self.trained(frozen=False)
        torch.testing.assert_close(head.class_rows.weight.detach(), head.class_rows.source.build().weight)
        head.loss(torch.randn(N, 8), samples())['loss_cls'].backward()
        assert head.class_rows.weight.grad.abs().sum() > 0
        with torch.no_grad():
            head.class_rows.weight.add_(1)
        other = make_head(in_channels=8, projection='linear', frozen=False, classifier=NoEncoder(embed_dims=D))
        load(other, head.state_dict())
        torch.testing.assert_close(other.class_rows.weight, head.class_rows.weight)

    def test_frozen_classifier_has_no_gradient(self):
        head = self.trained()
        assert 'class_rows.weight' not in dict(head.named_parameters())
        assert 'class_rows.weight' in dict(self.trained(frozen=False).named_parameters())

    def test_moving_average_in_the_runners_order(self):
        head = make_head(in_channels=8, projection='linear')
        ema = ExponentialMovingAverage(head, momentum=0.5)  # EMAHook copies the model before its weights are fetched
        head.init_weights()
        for _ in range(3):
            with torch.no_grad():
                head.projection.weight.add_(1)
            ema.update_parameters(head)
        other = make_head(in_channels=8, projection='linear', classifier=NoFile())
        other.load_state_dict(ema.module.state_dict())
        assert other.class_rows.class_names == head.class_rows.class_names
        torch.testing.assert_close(other.class_rows.weight, head.class_rows.weight)


class TestErrors:
    def test_width_clash(self):
        with pytest.raises(UserError, match='features are 8 wide and the class embeddings 32: give the head a `proj'):
            make_head(in_channels=8)

    def test_class_count(self):
        with pytest.raises(UserError, match='num_classes=7, but the classifier has 6 class names'):
            make_head(num_classes=7)

    def test_unknown_feature(self):
        with pytest.raises(UserError, match=r"Unknown feature='concatt'.*Did you mean: concat"):
            make_head(feature='concatt')

    def test_unknown_average(self):
        with pytest.raises(UserError, match=r"Unknown average_clips='features'.*Did you mean: feature"):
            make_head(average_clips='features')

    def test_unknown_projection(self):
        with pytest.raises(UserError, match=r"Unknown projection 'linaer'.*Did you mean: linear"):
            make_head(projection='linaer')

    def test_segments(self):
        head = make_head(num_segments=8).eval()
        with pytest.raises(UserError, match='12 rows a video are no multiple of num_segments=8'):
            head.predict(torch.randn(12, D), samples(1), num_segs=12)

    def test_rows_that_do_not_fit(self):
        with pytest.raises(UserError, match='5 feature rows cannot be shared by 2 videos'):
            make_head().loss(torch.randn(5, D), samples(2))

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            (dict(init_scale=0), 'init_scale is a positive number, got 0'),
            (dict(num_segments=0), 'num_segments is the number of frames a clip, got 0'),
            (dict(embed_dims=16), 'embed_dims=16, but the classifier is 32 wide: leave it out'),
        ],
    )
    def test_numbers_out_of_range(self, options, message):
        with pytest.raises(UserError, match=message):
            make_head(**options)

    @pytest.mark.parametrize(
        ('projection', 'message'),
        [
            (dict(hidden_channels=3), 'A projection needs a `type`'),
            (dict(type='mlp', hiden_channels=3), r"takes no argument 'hiden_channels'.*hidden_channels"),
            (dict(type='ConSEProjection'), 'needs the argument.* concepts'),
            (dict(type='linear', in_channels=7), 'in_channels=7, but the head needs 8: leave it out'),
        ],
    )
    def test_projection_config(self, projection, message):
        with pytest.raises(UserError, match=message):
            make_head(in_channels=8, projection=projection)

    def test_conse_numbers(self):
        with pytest.raises(UserError, match='1 to 20 concepts at a positive temperature, got top_k=0'):
            ConSE(8, D, num_concepts=20, top_k=0)

    def test_token_features(self):
        with pytest.raises(UserError, match=r'got 3x17x32'):
            make_head()(torch.randn(3, 17, D))

    @pytest.mark.parametrize(
        ('cfg', 'message'),
        [
            (dict(type='TextClasifier'), r"Unknown classifier source 'TextClasifier'.*Did you mean: TextClassifier"),
            (dict(class_names=['a']), 'needs a `type`'),
            ('kinetics400', r"is given as dict\(type=\.\.\., \.\.\.\), got 'kinetics400'"),
            (
                dict(type='TextClassifier', class_names=['a'], encoder='CLIPTextEncoder'),
                'text encoder is given as dict',
            ),
            (dict(type='TextClassifier', class_names=['a']), 'needs the argument.* encoder'),
            (
                dict(type='TextClassifier', class_names=['a'], encoder=dict(type='ClipTextEncoder', arch='x')),
                r"Unknown text encoder 'ClipTextEncoder'.*CLIPTextEncoder",
            ),
            (dict(type='FileClassifier', pth='x'), r"takes no argument 'pth'.*path"),
        ],
    )
    def test_classifier_config(self, cfg, message):
        with pytest.raises(UserError, match=message):
            make_head(classifier=cfg)
