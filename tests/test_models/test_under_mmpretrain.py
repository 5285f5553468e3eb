"""The modules of the heads under MMPretrain: a head of its own composes them and shares checkpoints with the others."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import init_default_scope
from mmpretrain.models.heads import ClsHead
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from tiny import TINY_VIT

from textxfer_mm.classifiers.class_rows import ClassRows
from textxfer_mm.classifiers.prompt_rows import PromptRows
from textxfer_mm.classifiers.sources import TextClassifier
from textxfer_mm.classifiers.tower_rows import TowerRows
from textxfer_mm.engine.classes import class_names_of, num_classes_of, rows_of
from textxfer_mm.layers.cosine import CosineLogits
from textxfer_mm.layers.projections import LinearProjection
from textxfer_mm.models.heads import LearnablePromptHead, TextEmbeddingHead, VideoTextMatchingHead
from textxfer_mm.text.clip_encoder import CLIPTextEncoder

NAMES = ['a cat', 'a dog', 'a horse', 'a bird']
N, WIDTH, D = 4, 512, 32


def text():
    return TextClassifier(NAMES, CLIPTextEncoder(TINY_VIT))


class CosineClsHead(ClsHead):
    """A head of MMPretrain that is handed its class rows."""

    def __init__(self, rows):
        super().__init__()
        self.class_rows = rows
        self.projection = LinearProjection(WIDTH, D)
        self.cosine = CosineLogits()

    def pre_logits(self, feats):
        return self.projection(feats[-1])

    def forward(self, feats):
        rows = self.class_rows.training_rows() if self.training else self.class_rows.testing_rows()
        return self.cosine(self.pre_logits(feats), rows, self.training)


KINDS = {
    'frozen': (lambda: ClassRows(text()), TextEmbeddingHead, {}),
    'trained': (lambda: ClassRows(text(), frozen=False), TextEmbeddingHead, dict(frozen=False)),
    'prompts': (lambda: PromptRows(text()), LearnablePromptHead, {}),
    'tower': (lambda: TowerRows(text()), VideoTextMatchingHead, {}),
}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def classifier(kind):
    """An ``ImageClassifier`` after one training step."""
    init_default_scope('mmpretrain')
    model = MODELS.build(
        dict(
            type='ImageClassifier',
            backbone=dict(type='ResNet', depth=18),
            neck=dict(type='GlobalAveragePooling'),
            head=CosineClsHead(KINDS[kind][0]()),
        )
    )
    model.init_weights()
    optimizer = torch.optim.SGD(model.head.parameters(), lr=0.1)
    samples = [DataSample().set_gt_label(i) for i in range(N)]
    model.train().loss(torch.randn(N, 3, 32, 32), samples)['loss'].backward()
    optimizer.step()
    yield model.eval()
    init_default_scope('mmaction')


def test_predicts_by_the_rows(classifier, kind):
    images = torch.randn(N, 3, 32, 32)
    samples = classifier.predict(images, [DataSample().set_gt_label(i) for i in range(N)])
    rows = rows_of(classifier).bundle().weight
    features = classifier.head.projection(classifier.extract_feat(images)[-1])
    want = (100 * F.normalize(features, dim=1) @ rows.t()).softmax(1)
    got = torch.stack([sample.pred_score for sample in samples])
    torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-3)
    assert class_names_of(classifier) == tuple(NAMES)
    assert (kind in ('prompts', 'tower', 'trained')) == (not torch.allclose(rows, text().build().weight, atol=1e-4))


def test_its_head_is_that_of_a_video_recognizer(classifier, kind):
    _, head, options = KINDS[kind]
    video = head(WIDTH, text(), projection='linear', **options)
    video.load_state_dict(copy.deepcopy(classifier.head.state_dict()), strict=True)
    feats = torch.randn(N, WIDTH)
    torch.testing.assert_close(video.eval()(feats), classifier.head((feats,)), atol=0, rtol=0)
    other = CosineClsHead(KINDS[kind][0]()).eval()
    other.load_state_dict(video.state_dict(), strict=True)
    torch.testing.assert_close(other((feats,)), classifier.head((feats,)), atol=0, rtol=0)


def test_classes_of_an_image_config():
    head = dict(type='TextEmbeddingClsHead', classifier=dict(type='RandomClassifier', class_names=NAMES, embed_dims=D))
    cfg = dict(model=dict(type='ImageClassifier', head=head))
    assert num_classes_of(cfg) == 4
    assert class_names_of(cfg, required=True) == tuple(NAMES)
