"""Every classifier source through the same head, by config alone; equal on all ranks; the widths."""

import copy
import logging
import re
import socket

import numpy as np
import pytest
import source_ranks
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.registry import init_default_scope
from mmengine.runner.checkpoint import load_state_dict
from tiny import TINY_VIT
from tiny_language import write_bert

from textxfer_mm.classifiers.feature_file import LabelledFeatures
from textxfer_mm.errors import UserError
from textxfer_mm.parts import build_classifier_source, projections

NAMES = ['running', 'walking', 'jumping']
K, D, N = 3, 32, 6
KINDS = ('TextClassifier', 'RandomClassifier', 'OrthogonalClassifier', 'LDAClassifier', 'FileClassifier')


def source_config(kind, folder):
    """The config of a source that needs nothing but files of ``folder``, which are written."""
    if kind == 'TextClassifier':
        encoder = dict(type='CLIPTextEncoder', arch=TINY_VIT)
        return dict(type=kind, class_names=NAMES, encoder=encoder)
    if kind == 'FileClassifier':
        rows = build_classifier_source(source_config('TextClassifier', folder)).build()
        return dict(type=kind, path=str(rows.save(folder / 'rows.safetensors')))
    if kind == 'LDAClassifier':
        rng = np.random.default_rng(0)
        features = rng.standard_normal((60, D)) + 3 * rng.standard_normal((K, D)).repeat(20, axis=0)
        labels = torch.arange(K).repeat_interleave(20)
        file = LabelledFeatures(torch.from_numpy(features), labels).save(folder / 'features.safetensors')
        return dict(type=kind, class_names=NAMES, features=str(file))
    return dict(type=kind, class_names=NAMES, embed_dims=D)


def make_head(classifier, **options):
    init_default_scope('mmaction')
    cfg = dict(type='TextEmbeddingHead', in_channels=D, classifier=copy.deepcopy(classifier), **options)
    return MODELS.build(cfg)


def step(head, feats):
    samples = [ActionDataSample().set_gt_label(i % K) for i in range(len(feats))]
    return head.loss(feats, samples)['loss_cls']


@pytest.fixture(params=KINDS)
def classifier(request, tmp_path):
    return source_config(request.param, tmp_path)


class Lines(logging.Handler):
    """What is logged, as (level, line)."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append((record.levelno, record.getMessage()))


@pytest.fixture
def log_lines(monkeypatch):
    """What the class rows and the head's projection log."""
    handler, logger = Lines(), logging.getLogger('textxfer_mm')
    level = logger.level
    logger.setLevel(logging.INFO)
    monkeypatch.setattr(projections, 'print_log', lambda line, level=20, **_: handler.lines.append((level, line)))
    logger.addHandler(handler)
    yield handler.lines
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.mark.parametrize('frozen', [True, False])
def test_by_config_alone(classifier, frozen, log_lines):
    head = make_head(classifier, frozen=frozen)
    feats = torch.randn(N, D, requires_grad=True)
    loss = step(head, feats)
    loss.backward()
    rows = build_classifier_source(classifier).build().weight.requires_grad_(not frozen)
    cosines = torch.stack([torch.stack([f @ w / f.norm() / w.norm() for w in rows]) for f in feats])
    want = torch.nn.functional.cross_entropy(100 * cosines, torch.arange(N) % K)
    got, feats.grad = feats.grad, None
    want.backward()
    torch.testing.assert_close(loss, want, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(got, feats.grad, rtol=1e-4, atol=1e-5)
    if frozen:
        assert [name for name, _ in head.named_parameters()] == ['cosine.logit_scale']
    else:
        torch.testing.assert_close(head.class_rows.weight.grad, rows.grad, rtol=1e-4, atol=1e-5)
    assert head.class_rows.class_names == tuple(NAMES)
    (line,) = [line for _, line in log_lines]
    assert line.startswith('Classifier: 3 classes (running, walking, jumping)')
    assert ('template' in line) == bool(head.class_rows.templates)


@pytest.mark.parametrize('frozen', [True, False])
def test_a_checkpoint_needs_no_source(classifier, frozen, tmp_path):
    head = make_head(classifier, frozen=frozen)
    head.init_weights()
    if not frozen:
        with torch.no_grad():
            head.class_rows.weight.add_(0.1 * torch.randn(K, D))
    torch.save(head.state_dict(), tmp_path / 'x.pth')
    for file in tmp_path.glob('*.safetensors'):
        file.unlink()
    other = make_head(classifier, frozen=frozen, num_classes=None if frozen else K)  # a parameter needs its shape
    other.class_rows.source.build = None
    load_state_dict(other, torch.load(tmp_path / 'x.pth', weights_only=True), strict=True)
    feats = torch.randn(N, D)
    torch.testing.assert_close(other.eval()(feats), head.eval()(feats), rtol=0, atol=0)
    assert (other.class_rows.class_names, other.class_rows.encoder_id) == (
        head.class_rows.class_names,
        head.class_rows.encoder_id,
    )
    assert other.class_rows.bundle().metadata() == head.class_rows.bundle().metadata()


@pytest.mark.parametrize(
    ('held', 'asked', 'level', 'line'),
    [
        (
            dict(type='RandomClassifier'),
            dict(type='TextClassifier'),
            'WARNING',
            r"encoder: random/seed=0\) is replaced by the config's \(encoder: open_clip/.*\)\. "
            'The features were trained against rows by random/seed=0; they may not fit others',
        ),
        (
            dict(type='TextClassifier'),
            dict(type='RandomClassifier'),
            'WARNING',
            r'encoder: random/seed=0\)\. The rows of the new one are drawn',
        ),
        (
            dict(type='RandomClassifier'),
            dict(type='RandomClassifier', class_names=['u', 'v']),
            'WARNING',
            r'class names: u, v\)\. The rows of the new one are drawn, whatever the names are',
        ),
        (
            dict(type='TextClassifier'),
            dict(type='TextClassifier', class_names=['u', 'v']),
            'INFO',
            r'class names: u, v\)\.$',
        ),
        (
            dict(type='OrthogonalClassifier'),
            dict(type='OrthogonalClassifier', seed=1),
            'WARNING',
            r"encoder: orthogonal/seed=0\) is replaced by the config's \(encoder: orthogonal/seed=1\)",
        ),
    ],
)
def test_a_classifier_that_is_replaced(held, asked, level, line, tmp_path, log_lines):
    heads = [make_head({**source_config(cfg['type'], tmp_path), **cfg}) for cfg in (held, asked)]
    heads[0].init_weights()
    load_state_dict(heads[1], heads[0].state_dict(), strict=True)
    levels = dict(INFO=20, WARNING=30)
    assert log_lines[-1][0] == levels[level]
    assert re.search(line, log_lines[-1][1])
    heads[1](torch.randn(N, D))
    torch.testing.assert_close(heads[1].class_rows.weight, heads[1].class_rows.source.build().weight)


def test_lda_of_a_file_that_is_to_come(tmp_path):
    """A head is built without the file, and asks for it when training begins."""
    classifier = dict(type='LDAClassifier', class_names=NAMES, features=str(tmp_path / 'features.safetensors'))
    head = make_head(classifier)
    with pytest.raises(UserError, match=r'Features file not found: .* python tools/extract_features\.py CONFIG'):
        head.init_weights()
    source_config('LDAClassifier', tmp_path)
    head.init_weights()
    torch.testing.assert_close(head.class_rows.weight, build_classifier_source(classifier).build().weight)


@pytest.mark.parametrize('kind', KINDS)
def test_a_width_that_clashes(kind, tmp_path):
    classifier = source_config(kind, tmp_path)
    with pytest.raises(
        UserError, match=r'features are 48 wide and the class embeddings 32: give the head a `projection`'
    ):
        MODELS.build(dict(type='TextEmbeddingHead', in_channels=48, classifier=classifier))


def test_a_language_model_needs_a_projection(tmp_path, log_lines):
    """DistilBERT and MiniLM are not as wide as CLIP: how to bridge that is the user's choice, and told."""
    encoder = dict(type='LanguageModelEncoder', model=str(write_bert(tmp_path / 'bert')), pooling='mean')
    classifier = dict(type='TextClassifier', class_names=['riding bike', 'jumping'], encoder=encoder)
    with pytest.raises(
        UserError, match='features are 32 wide and the class embeddings 16: give the head a `projection`'
    ):
        make_head(classifier)
    head = make_head(classifier, projection='linear')
    assert 'From features 32 wide to class embeddings 16 wide: a linear map' in log_lines[0][1]
    feats = torch.randn(N, D)
    logits = head(feats)
    rows = torch.nn.functional.normalize(feats @ head.projection.weight.T, dim=1)
    torch.testing.assert_close(logits, 100 * rows @ build_classifier_source(classifier).build().weight.T)
    logits.sum().backward()
    assert head.projection.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ('projection', 'line'),
    [
        (
            'linear',
            'From features 48 wide to class embeddings 32 wide: a linear map, 1536 weights to train',
        ),
        ('mlp', 'From features 48 wide to class embeddings 32 wide: a small network, 3920 weights to train'),
        (
            dict(type='ConSEProjection', concepts=dict(type='RandomClassifier', class_names=['a', 'b'], embed_dims=D)),
            'From features 48 wide to class embeddings 32 wide: the mean embedding of the objects of ImageNet that are '
            'seen, nothing to train',
        ),
    ],
)
def test_the_projection_is_logged(projection, line, tmp_path, log_lines):
    classifier = source_config('TextClassifier', tmp_path)
    MODELS.build(dict(type='TextEmbeddingHead', in_channels=48, classifier=classifier, projection=projection))
    assert [text.rstrip('.') for _, text in log_lines] == [line]


def test_without_a_projection_nothing_is_logged(tmp_path, log_lines):
    make_head(source_config('TextClassifier', tmp_path))
    assert log_lines == []


def test_equal_on_two_ranks(tmp_path):
    configs = {kind: source_config(kind, tmp_path) for kind in KINDS[1:4]}
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    torch.multiprocessing.spawn(source_ranks.worker, (port, tmp_path, configs), nprocs=2)
    for kind, cfg in configs.items():
        first, second = torch.load(tmp_path / f'{kind}.pt')
        torch.testing.assert_close(second, first, rtol=0, atol=0)
        torch.testing.assert_close(first, build_classifier_source(cfg).build().weight, rtol=0, atol=1e-6)


def test_behind_a_linear_map_one_hot_rows_are_a_linear_classifier(tmp_path):
    classifier = dict(type='OneHotClassifier', class_names=['u', 'v', 'w'])
    linear = dict(projection=dict(type='LinearProjection', bias=True), normalize=False)
    cfg = dict(type='TextEmbeddingHead', in_channels=D, embed_dims=3, classifier=classifier, topk=1, **linear)
    head = MODELS.build(cfg)
    head.init_weights()
    assert (head.projection.bias == 0).all()
    layer = torch.nn.Linear(D, 3)
    head.projection.load_state_dict(layer.state_dict())
    x = torch.randn(N, D)
    for one in (head, layer):
        torch.nn.functional.cross_entropy(one(x), torch.arange(N) % 3).backward()
    torch.testing.assert_close(head(x), layer(x))
    torch.testing.assert_close(head.projection.weight.grad, layer.weight.grad)
    torch.testing.assert_close(head.projection.bias.grad, layer.bias.grad)
    elsewhere = MODELS.build(
        {**cfg, 'classifier': {**classifier, 'class_names': str(tmp_path / 'gone.txt'), 'embed_dims': 3}}
    )
    elsewhere.load_state_dict(head.state_dict())
    assert elsewhere.class_rows.class_names == ('u', 'v', 'w')
    torch.testing.assert_close(elsewhere(x), head(x))
