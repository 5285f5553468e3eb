"""``LearnablePromptHead``: what is trained, and the matrix that always belongs to the context."""

import copy
import logging

import pytest
import torch
import torch.nn.functional as F
from mmaction.structures import ActionDataSample
from mmengine.model import ExponentialMovingAverage
from mmengine.optim import build_optim_wrapper
from mmengine.runner.checkpoint import get_state_dict, load_state_dict
from tiny import TINY_VIT, FixedSource
from tiny_language import write_bert

from textxfer_mm.errors import UserError
from textxfer_mm.models.heads import LearnablePromptHead, TextEmbeddingHead, learnable_prompt_head
from textxfer_mm.text.clip_encoder import CLIPTextEncoder
from textxfer_mm.text.learnable_prompts import LearnablePrompts
from textxfer_mm.text.text_tower import CLIPTextTower

N, M, W, D = 3, 4, 64, 32
NAMES = ['riding a bike', 'jumping', 'ApplyEyeMakeup', 'clapping hands', 'dancing']
K = len(NAMES)


def text(names=NAMES, **changes):
    encoder = dict(type='CLIPTextEncoder', arch=TINY_VIT)
    return dict(dict(type='TextClassifier', class_names=names, encoder=encoder), **changes)


def make_head(names=NAMES, **kwargs):
    return LearnablePromptHead(D, text(names), **kwargs)


def make_ready(**kwargs):
    torch.manual_seed(1)
    head = make_head(**kwargs)
    head.init_weights()
    return head


def samples(num=N):
    return [ActionDataSample().set_gt_label(i % K) for i in range(num)]


def train_step(head, lr=0.5):
    head.train()
    head.zero_grad()
    head.loss(torch.randn(N, D), samples())['loss_cls'].backward()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.sub_(lr * parameter.grad)


def matrix_of(head, context=None, names=NAMES):
    """The classifier of a context, made anew without the head."""
    other = make_head(names, class_specific=head.class_rows.source.class_specific)
    prompts = other.class_rows.source.prompts(tuple(names))
    with torch.no_grad():
        return F.normalize(prompts.encode(head.class_rows.context if context is None else context), dim=-1)


@pytest.fixture
def no_tower(monkeypatch):
    """From here on, the machine has no text encoder."""

    def enter():
        monkeypatch.setattr(CLIPTextEncoder, 'tower', lambda self: pytest.fail('the text tower was asked for'))

    return enter


class TestTraining:
    def test_loss_and_gradient_against_naive(self):
        head = make_ready(init_scale=5.0)
        feats = torch.randn(N, D, requires_grad=True)
        loss = head.loss(feats, samples())['loss_cls']
        loss.backward()
        got = [feats.grad.clone(), head.class_rows.context.grad.clone(), head.cosine.logit_scale.grad.clone()]
        feats.grad = head.class_rows.context.grad = head.cosine.logit_scale.grad = None
        rows = head.class_rows.source.prompts(tuple(NAMES)).encode(head.class_rows.context)
        cosine = (feats @ rows.t()) / (feats.norm(dim=1)[:, None] * rows.norm(dim=1)[None])
        naive = F.cross_entropy(head.cosine.logit_scale.exp() * cosine, torch.arange(N))
        naive.backward()
        torch.testing.assert_close(loss, naive)
        for a, b in zip(got, [feats.grad, head.class_rows.context.grad, head.cosine.logit_scale.grad], strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)

    def test_only_the_context_is_trained_and_saved(self):
        head = make_ready()
        assert {name for name, _ in head.named_parameters()} == {'class_rows.context', 'cosine.logit_scale'}
        assert set(head.state_dict()) == {
            'class_rows.context',
            'class_rows.weight',
            'class_rows.filled',
            'class_rows._extra_state',
            'cosine.logit_scale',
        }
        tower = head.class_rows.source.prompts(tuple(NAMES)).tower
        before = copy.deepcopy(tower.state_dict())
        head.train()
        optim = build_optim_wrapper(head, dict(optimizer=dict(type='AdamW', lr=0.1, weight_decay=0.5)))
        for _ in range(3):
            optim.update_params(head.loss(torch.randn(N, D), samples())['loss_cls'])
        assert not tower.training
        assert all(parameter.grad is None for parameter in tower.parameters())
        torch.testing.assert_close(tower.state_dict(), before, rtol=0, atol=0)

    def test_training_learns(self):
        head = make_ready(init_scale=10.0, learn_scale=False)
        feats = F.normalize(torch.randn(K, D), dim=-1)
        optim = torch.optim.Adam([head.class_rows.context], lr=0.02)
        losses = []
        for _ in range(40):
            optim.zero_grad()
            losses.append(head.loss(feats, samples(K))['loss_cls'])
            losses[-1].backward()
            optim.step()
        assert losses[-1] < 0.5 * losses[0]

    @pytest.mark.parametrize(('text_batch_size', 'forward', 'with_backward'), [(None, 1, 1), (2, 3, 6)])
    def test_the_tower_is_evaluated_once_a_step(self, monkeypatch, text_batch_size, forward, with_backward):
        head = make_ready(text_batch_size=text_batch_size)
        calls = []
        real = CLIPTextTower.forward_embeddings
        monkeypatch.setattr(
            CLIPTextTower, 'forward_embeddings', lambda self, *args: calls.append(1) or real(self, *args)
        )
        loss = head.train().loss(torch.randn(N, D), samples())['loss_cls']
        assert len(calls) == forward
        loss.backward()
        assert len(calls) == with_backward
        calls.clear()
        head.eval().predict(torch.randn(N, D), samples())
        head.predict(torch.randn(N, D), samples())
        assert not calls  # the context has not changed
        train_step(head)
        calls.clear()
        head.eval().predict(torch.randn(N, D), samples())
        head.predict(torch.randn(N, D), samples())
        head.state_dict()
        assert len(calls) == 1  # it has, once

    def test_chunks_give_the_same_gradients(self):
        whole, chunked = make_ready(), make_ready(text_batch_size=2)
        feats = torch.randn(N, D)
        for head in (whole, chunked):
            head.loss(feats, samples())['loss_cls'].backward()
        torch.testing.assert_close(whole.class_rows.context.grad, chunked.class_rows.context.grad, rtol=1e-4, atol=1e-4)

    def test_amp_keeps_the_context_in_float32(self):
        head = make_ready(init_scale=5.0)
        feats = torch.randn(N, D)
        plain = head.loss(feats, samples())['loss_cls']
        plain.backward()
        want, head.class_rows.context.grad = head.class_rows.context.grad, None
        with torch.autocast('cpu', dtype=torch.bfloat16):
            loss = head.loss(feats, samples())['loss_cls']
        loss.backward()
        assert loss.dtype == head.class_rows.context.grad.dtype == torch.float32
        torch.testing.assert_close(loss, plain, atol=2e-2, rtol=2e-2)
        assert F.cosine_similarity(head.class_rows.context.grad.flatten(), want.flatten(), dim=0) > 0.99

    def test_random_start(self):
        context = make_head(num_context=64, class_specific=True).class_rows.context
        assert context.shape == (K, 64, W)
        assert context.std().item() == pytest.approx(0.02, rel=0.05)
        assert context.mean().abs() < 1e-3

    @pytest.mark.parametrize('class_specific', [False, True])
    def test_words_to_start_from(self, class_specific):
        head = make_ready(init_words='a video of', class_specific=class_specific)
        assert head.class_rows.context.shape == ((K, 3, W) if class_specific else (3, W))
        want = TextEmbeddingHead(D, text(templates='a video of {}.'))
        want.init_weights()
        torch.testing.assert_close(head.class_rows.weight, want.class_rows.weight, rtol=1e-4, atol=1e-5)
        train_step(head)
        assert head.class_rows.context.grad.any()


class TestMatrix:
    @pytest.mark.parametrize('class_specific', [False, True])
    def test_it_follows_the_context(self, class_specific):
        head = make_ready(class_specific=class_specific)
        first = head.class_rows.weight.clone()
        torch.testing.assert_close(first, matrix_of(head))
        train_step(head)
        feats = torch.randn(N, D)
        logits = head.eval()(feats)
        want = matrix_of(head)
        assert (want - first).abs().max() > 1e-3
        torch.testing.assert_close(logits, 100 * F.normalize(feats, dim=-1) @ want.t(), rtol=1e-4, atol=1e-3)
        train_step(head)
        torch.testing.assert_close(head.class_rows.bundle().weight, matrix_of(head))
        assert not torch.allclose(head.class_rows.bundle().weight, want)

    @pytest.mark.parametrize('state_of', [get_state_dict, torch.nn.Module.state_dict])
    def test_a_saved_matrix_is_that_of_the_saved_context(self, state_of):
        head = make_ready()
        for _ in range(2):
            train_step(head)  # the optimizer steps after the last pass
            state = copy.deepcopy(state_of(head))
            torch.testing.assert_close(state['class_rows.weight'], matrix_of(head, state['class_rows.context']))

    def test_testing_and_training_agree(self):
        head = make_ready(test_scale=None)
        train_step(head)
        feats = torch.randn(N, D)
        torch.testing.assert_close(head.train()(feats), head.eval()(feats), rtol=1e-4, atol=1e-3)

    def test_moving_average_in_the_runners_order(self, no_tower):
        head = make_head()
        ema = ExponentialMovingAverage(head, momentum=0.5)  # EMAHook copies the model before its weights are fetched
        head.init_weights()
        for _ in range(3):
            train_step(head)
            ema.update_parameters(head)
        state = ema.module.state_dict()
        assert not torch.allclose(state['class_rows.context'], head.class_rows.context)
        torch.testing.assert_close(state['class_rows.weight'], matrix_of(head, state['class_rows.context']))
        with torch.no_grad():
            head.class_rows.context.copy_(state['class_rows.context'])  # what EMAHook does before validation
        torch.testing.assert_close(head.eval()(state['class_rows.weight']).argmax(1), torch.arange(K))
        torch.testing.assert_close(head.class_rows.weight, state['class_rows.weight'])
        want = head.class_rows.bundle().weight
        no_tower()
        other = make_head()
        other.load_state_dict(state)
        torch.testing.assert_close(other.class_rows.bundle().weight, want)

    def test_moving_average_of_every_few_steps(self):
        head = make_ready()
        ema = ExponentialMovingAverage(head, momentum=0.5, interval=3)
        for _ in range(4):  # between its updates, an average only takes over the buffers of the model
            train_step(head)
            ema.update_parameters(head)
            head.class_rows.bundle()
            state = ema.module.state_dict()
            torch.testing.assert_close(state['class_rows.weight'], matrix_of(head, state['class_rows.context']))
        assert not torch.allclose(state['class_rows.weight'], head.class_rows.weight)

    def test_a_given_classifier_stays_until_training_goes_on(self):
        head = make_ready().eval()
        given = FixedSource(NAMES, D).build()
        head.class_rows.replace(given)
        torch.testing.assert_close(head(given.weight).argmax(1), torch.arange(K))
        assert head.class_rows.bundle().encoder_id == 'fixed/0'
        train_step(head)
        torch.testing.assert_close(head.class_rows.bundle().weight, matrix_of(head))
        assert head.class_rows.bundle().encoder_id.endswith('/learned-prompt')

    def test_bundle_says_what_it_is(self, tmp_path):
        bundle = make_ready(class_position='middle').class_rows.bundle()
        assert bundle.templates == ('[V1] [V2] {} [V3] [V4].',)
        assert bundle.encoder_id == CLIPTextEncoder(TINY_VIT).encoder_id + '/learned-prompt'
        bundle.save(tmp_path / 'learned.safetensors')
        head = TextEmbeddingHead(D, dict(type='FileClassifier', path=str(tmp_path / 'learned.safetensors')))
        torch.testing.assert_close(head.class_rows.bundle().weight, bundle.weight)
        assert head.class_rows.bundle().metadata() == bundle.metadata()

    def test_a_first_pass_in_inference_mode_leaves_what_training_can_use(self):
        for head in (make_head(), make_head(init_words='a video of a')):
            with torch.inference_mode():
                head.eval()(torch.randn(N, D))
            train_step(head)
            assert head.class_rows.context.grad.any()


class TestCheckpoint:
    def trained(self, **kwargs):
        head = make_ready(**kwargs)
        train_step(head)
        return head

    @pytest.mark.parametrize('options', [{}, dict(class_specific=True), dict(init_words='a video of a')])
    def test_needs_no_text_encoder(self, load, no_tower, options):
        head = self.trained(**options)
        state, want = head.state_dict(), head.class_rows.bundle()
        no_tower()
        other = make_head(**options)
        load(other, state)
        feats = torch.randn(N, D)
        torch.testing.assert_close(other.eval()(feats), head.eval()(feats), rtol=0, atol=0)
        assert other.class_rows.bundle().fingerprint == want.fingerprint
        torch.testing.assert_close(other.state_dict()['class_rows.weight'], state['class_rows.weight'], rtol=0, atol=0)

    def test_goes_on_as_if_it_had_not_stopped(self, load):
        head = self.trained()
        other = make_head()
        other.init_weights()  # the runner does it before it resumes
        load(other, head.state_dict())
        for one in (head, other):
            torch.manual_seed(3)
            train_step(one)
        torch.testing.assert_close(other.state_dict(), head.state_dict(), rtol=0, atol=0)

    def test_loading_encodes_nothing(self, load, monkeypatch):
        head, other = self.trained(), self.trained(class_position='front')  # the towers of both are here
        state = head.state_dict()
        monkeypatch.setattr(LearnablePrompts, 'encode', lambda *args: pytest.fail('the tower was run'))
        load(other, state)
        torch.testing.assert_close(other.class_rows.context, state['class_rows.context'], rtol=0, atol=0)

    @pytest.mark.parametrize('options', [{}, dict(init_words='a video of a')])
    def test_other_class_names_take_the_learned_prompt(self, load, caplog, options):
        caplog.set_level(logging.INFO, 'textxfer_mm')
        head = self.trained()
        names = ['swimming', 'playing the guitar']
        other = make_head(names, **options)
        load(other, head.state_dict())
        assert 'is replaced by' in caplog.messages[-1]
        other.eval()(torch.randn(N, D))
        torch.testing.assert_close(other.class_rows.weight, matrix_of(head, names=names))
        assert other.class_rows.class_names == tuple(names)
        torch.testing.assert_close(other.class_rows.context, head.class_rows.context)
        trained_on = make_head(names, init_words='a video of a')
        trained_on.init_weights()
        load(trained_on, head.state_dict())
        torch.testing.assert_close(trained_on.class_rows.bundle().weight, matrix_of(head, names=names))

    def test_class_specific_context_fits_its_classes_only(self, load):
        state = self.trained(class_specific=True).state_dict()
        for names in (['swimming', 'dancing'], NAMES[::-1]):
            with pytest.raises(UserError, match=r'specific to its classes and cannot .* class_specific=False'):
                load(make_head(names, class_specific=True), state)

    @pytest.mark.parametrize('options', [dict(num_context=3), dict(class_specific=True)])
    def test_another_context_is_an_error(self, load, options):
        with pytest.raises(UserError, match=r"The checkpoint's context is \(4, 64\), this head's "):
            load(make_head(**options), self.trained().state_dict())

    @pytest.mark.parametrize('class_specific', [False, True])
    def test_class_names_and_encoder_may_stay_behind(self, load, tmp_path, class_specific):
        pytest.importorskip('sentence_transformers')
        labels = tmp_path / 'labels.txt'
        labels.write_text('riding bike\njumping\n')
        encoder = dict(type='LanguageModelEncoder', model=str(write_bert(tmp_path / 'model')))
        options = dict(class_specific=class_specific, num_context=2, projection='linear', embed_dims=16)
        head = LearnablePromptHead(8, text(str(labels), encoder=encoder), **options)
        head.init_weights()
        state = head.state_dict()
        labels.unlink()
        encoder = dict(encoder, model='model')  # a folder goes by its name
        other = LearnablePromptHead(8, text(str(labels), encoder=encoder), **options)
        assert other.class_rows.context.numel() == 0
        load(other, state)
        feats = torch.randn(N, 8)
        torch.testing.assert_close(other.eval()(feats), head.eval()(feats))
        assert other.class_rows.class_names == ('riding bike', 'jumping')

    def test_checkpoint_of_a_fixed_template(self):
        fixed = TextEmbeddingHead(D, text())
        fixed.init_weights()
        head = make_ready()
        context = head.class_rows.context.detach().clone()
        load_state_dict(head, fixed.state_dict())  # warns of what is missing
        torch.testing.assert_close(head.class_rows.context.detach(), context)
        torch.testing.assert_close(head.class_rows.bundle().weight, matrix_of(head))


class TestErrors:
    def test_options(self):
        with pytest.raises(UserError, match='num_context is a whole number of at least 1, got 0'):
            make_head(num_context=0)
        with pytest.raises(UserError, match='text_batch_size is None or a whole number of at least 1, got 0'):
            make_head(text_batch_size=0)
        with pytest.raises(UserError, match="num_context is a whole number of at least 1, got '4'"):
            make_head(num_context='4')
        with pytest.raises(UserError, match=r"are text, got init_words=\['a', 'video'\] and suffix='\.'"):
            make_head(init_words=['a', 'video'])
        with pytest.raises(UserError, match='are text, got init_words=None and suffix=None'):
            make_head(suffix=None)
        with pytest.raises(UserError, match='init_words are empty'):
            make_head(init_words=' ')
        with pytest.raises(UserError, match=r"Unknown class_position='begin'"):
            make_head(class_position='begin')

    def test_a_classifier_without_a_tower(self):
        with pytest.raises(UserError, match=r'read by a text tower: .*, got FixedSource'):
            LearnablePromptHead(D, FixedSource(embed_dims=D))

    def test_number_of_words(self):
        with pytest.raises(
            UserError, match=r"init_words='a video' are 2 tokens .* 3 context vectors\. Give num_context=2"
        ):
            make_head(init_words='a video', num_context=3).init_weights()

    def test_too_long(self):
        with pytest.raises(
            UserError, match=r"with 80 context vectors these classes have more \(tokens\): 'riding a bike'"
        ):
            make_head(num_context=80).init_weights()

    def test_a_template_that_has_no_effect_is_said(self, monkeypatch):
        lines = []
        monkeypatch.setattr(learnable_prompt_head, 'print_log', lambda line, **kwargs: lines.append(line))
        make_head()
        assert not lines
        LearnablePromptHead(D, text(templates='vifi'))
        assert 'those of the classifier (vifi) have no effect, the prompt is [V1] [V2] [V3] [V4] {}.' in lines[0]
