"""Backbone and head under MMPretrain's ``ImageClassifier``: the video side's classifier, MMPretrain's losses."""

import copy
import logging

import pytest
import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from tiny import TINY_RESNET, TINY_TIMM, TINY_VIT, FixedSource

from textxfer_mm.errors import UserError
from textxfer_mm.image import CLIPImageBackbone, TextEmbeddingClsHead
from textxfer_mm.models import CLIPBackbone, TemporalAveragePool, TextEmbeddingHead
from textxfer_mm.vision import PACKAGED_ARCH

from mmaction.structures import ActionDataSample  # isort: skip

N, D, K = 4, 32, 6
TOWERS = {'vit': TINY_VIT, 'resnet': TINY_RESNET, 'timm': TINY_TIMM}
NAMES = list('abcdef')
TEXT = dict(type='TextClassifier', class_names=NAMES, encoder=dict(type='CLIPTextEncoder', arch=TINY_VIT))


def classifier(arch=TINY_VIT, head=None, **model):
    head = head or dict(type='TextEmbeddingClsHead', in_channels=D, classifier=FixedSource(embed_dims=D))
    backbone = dict(type='CLIPImageBackbone', arch=arch)
    made = MODELS.build(dict(type='ImageClassifier', backbone=backbone, head=head, **model))
    made.init_weights()
    return made


def samples(labels=(0, 2, 5, 3)):
    return [DataSample().set_gt_label(label) for label in labels]


def scores(predicted):
    return torch.stack([sample.pred_score for sample in predicted])


# ---------------------------------------------------------------------------------------- the same as on the video side


@pytest.mark.parametrize('arch', TOWERS.values(), ids=TOWERS)
def test_an_image_is_a_video_of_one_frame(arch):
    """The same weights give the same logits, loss and gradients in both frameworks, with one frame and TAP."""
    image = classifier(arch).eval()
    backbone, neck, head = CLIPBackbone(arch), TemporalAveragePool(), TextEmbeddingHead(D, FixedSource(embed_dims=D))
    backbone.load_state_dict(image.backbone.state_dict(), strict=True)
    head.load_state_dict(image.head.state_dict(), strict=True)
    backbone, head = backbone.eval(), head.eval()
    x = torch.randn(N, 3, 32, 32)
    feats = neck(backbone(x[:, :, None]))[0]  # (N, D, 1, 1, 1)
    torch.testing.assert_close(image(x), head(feats), atol=1e-6, rtol=1e-6)
    labels = [ActionDataSample().set_gt_label(int(sample.gt_label)) for sample in samples()]
    ours, theirs = image.loss(x, samples())['loss'], head.loss(feats, labels)['loss_cls']
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)
    ours.backward()
    theirs.backward()
    for (name, mine), other in zip(image.backbone.named_parameters(), backbone.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad, atol=1e-6, rtol=1e-4, msg=name)
    torch.testing.assert_close(image.head.cosine.logit_scale.grad, head.cosine.logit_scale.grad)
    predicted = head.predict(feats, labels)
    torch.testing.assert_close(scores(image.predict(x, samples())), scores(predicted), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize('arch', TOWERS.values(), ids=TOWERS)
def test_checkpoints_of_one_load_into_the_other(arch):
    image, video = CLIPImageBackbone(arch), CLIPBackbone(arch)
    image.load_state_dict(video.state_dict(), strict=True)
    x = torch.randn(N, 3, 32, 32)
    torch.testing.assert_close(image.eval()(x)[0], video.eval()(x)[..., 0, 0])
    other = CLIPBackbone(arch)
    other.load_state_dict(image.state_dict(), strict=True)
    torch.testing.assert_close(other.eval()(x), video(x))


def test_the_classes_of_a_checkpoint_come_along():
    first = classifier(head=dict(type='TextEmbeddingClsHead', in_channels=D, classifier=TEXT))
    video = TextEmbeddingHead(D, TEXT)
    video.load_state_dict(first.head.state_dict(), strict=True)
    assert video.class_rows.class_names == tuple(NAMES)
    torch.testing.assert_close(video.class_rows.weight, first.head.class_rows.weight, atol=0, rtol=0)


def test_a_checkpoint_of_another_tower_is_refused():
    with pytest.raises(UserError, match=r'another backbone .* of\s+CLIPImageBackbone'):
        torch.nn.ModuleDict(dict(backbone=CLIPImageBackbone(TINY_VIT))).load_state_dict(
            {'backbone.conv1.weight': torch.ones(1)}
        )


# ----------------------------------------------------------------------------------------------------- under MMPretrain


def test_the_vision_only_baseline_is_the_stock_head():
    stock = dict(type='LinearClsHead', num_classes=K, in_channels=D, loss=dict(type='CrossEntropyLoss'), topk=(1, 5))
    model = classifier(head=stock)
    x = torch.randn(N, 3, 32, 32)
    model.train().loss(x, samples())['loss'].backward()
    assert model.backbone.visual.conv1.weight.grad.any()
    want = model.eval().head.fc(model.backbone(x)[0]).softmax(1)
    torch.testing.assert_close(scores(model.predict(x, samples())), want)


@pytest.mark.parametrize('stage', ['backbone', 'neck', 'pre_logits'])
def test_features_at_the_stages_of_mmpretrain(stage):
    model = classifier(
        head=dict(type='TextEmbeddingClsHead', in_channels=D, classifier=FixedSource(embed_dims=8), projection='linear')
    )
    x = torch.randn(N, 3, 32, 32)
    feats = model.eval().extract_feat(x, stage=stage)
    if stage == 'pre_logits':
        torch.testing.assert_close(feats, model.head.projection(model.backbone(x)[0]))
    else:
        assert isinstance(feats, tuple)
        assert feats[0].shape == (N, D)


def test_maps_of_a_stock_backbone_are_averaged():
    head = dict(type='TextEmbeddingClsHead', in_channels=512, classifier=FixedSource(embed_dims=D), projection='linear')
    model = MODELS.build(dict(type='ImageClassifier', backbone=dict(type='ResNet', depth=18), head=head)).eval()
    x = torch.randn(2, 3, 64, 64)
    (feats,) = model.backbone(x)
    want = model.head((feats.mean((2, 3)),))
    torch.testing.assert_close(model(x), want)


def test_soft_targets_of_mixup():
    model = classifier(
        data_preprocessor=dict(
            mean=[0.0] * 3, std=[1.0] * 3, num_classes=K, batch_augments=dict(augments=dict(type='Mixup', alpha=1.0))
        ),
        head=dict(type='TextEmbeddingClsHead', in_channels=D, classifier=FixedSource(embed_dims=D), init_scale=10.0),
    ).train()
    data = model.data_preprocessor(
        dict(inputs=torch.randint(0, 255, (N, 3, 32, 32)).float(), data_samples=samples()), training=True
    )
    targets = torch.stack([sample.gt_score for sample in data['data_samples']])  # (N, K)
    assert ((targets > 0).sum(1) > 1).any()
    logits = model.head(model.backbone(data['inputs']))
    want = -(targets * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(model(**data, mode='loss')['loss'], want)


def test_label_smoothing_is_the_loss_of_mmpretrain():
    loss = dict(type='LabelSmoothLoss', label_smooth_val=0.2, mode='original')
    head = TextEmbeddingClsHead(D, FixedSource(embed_dims=D), init_scale=5.0, loss=loss).train()
    x, labels = torch.randn(N, D), torch.tensor([0, 2, 5, 3])
    want = F.cross_entropy(head((x,)), labels, label_smoothing=0.2)
    torch.testing.assert_close(head.loss((x,), samples())['loss'], want)


def test_accuracies_of_training():
    head = TextEmbeddingClsHead(D, FixedSource(embed_dims=D), topk=(1, 5), cal_acc=True).train()
    x = FixedSource(embed_dims=D).build().weight[[0, 2, 5, 1]]  # three of four are closest to their label
    losses = head.loss((x,), samples())
    assert losses['accuracy_top-1'][0].item() == pytest.approx(75)
    assert set(losses) == {'loss', 'accuracy_top-1', 'accuracy_top-5'}


def test_several_labels():
    head = TextEmbeddingClsHead(D, FixedSource(embed_dims=D), multi_label=True, thr=0.3).train()
    x = torch.randn(N, D)
    targets = torch.randint(0, 2, (N, K)).float()
    given = [DataSample().set_gt_score(target) for target in targets]
    rows = FixedSource(embed_dims=D).build().weight
    logits = 10 * F.normalize(x, dim=1) @ rows.t() - 10
    want = F.binary_cross_entropy_with_logits(logits, targets, reduction='none').sum() / N
    torch.testing.assert_close(head.loss((x,), given)['loss'], want)
    predicted = head.eval().predict((x,), given)
    torch.testing.assert_close(scores(predicted), logits.sigmoid())
    assert all(set(p.pred_label.tolist()) == {k for k in range(K) if p.pred_score[k] >= 0.3} for p in predicted)


def test_the_scale_of_testing():
    head = TextEmbeddingClsHead(D, FixedSource(embed_dims=D), init_scale=20.0, test_scale=50.0).train()
    x = torch.randn(N, D)
    cosines = F.normalize(x, dim=1) @ FixedSource(embed_dims=D).build().weight.t()
    torch.testing.assert_close(head((x,)), 20 * cosines)
    torch.testing.assert_close(scores(head.predict((x,))), (50 * cosines).softmax(1))
    torch.testing.assert_close(head.eval()((x,)), 50 * cosines)


def test_predicts_without_samples():
    predicted = classifier().eval().predict(torch.randn(N, 3, 32, 32))
    assert [len(sample.pred_score) for sample in predicted] == [K] * N
    assert all(sample.pred_label.item() == sample.pred_score.argmax() for sample in predicted)


def test_mixed_precision_trains_and_leaves_in_float32():
    model = classifier().train()
    x = torch.randn(N, 3, 32, 32)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = model.loss(x, samples())['loss']
        assert model.eval().predict(x)[0].pred_score.dtype is torch.float32
    assert loss.dtype is torch.float32
    loss.backward()
    assert torch.isfinite(model.backbone.visual.conv1.weight.grad).all()


# ------------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(thr=0.5), r'thr=0\.5 has no effect without multi_label=True'),
        (dict(multi_label=True, cal_acc=True), 'cal_acc=True has no effect with multi_label=True'),
        (dict(num_classes=7), r'num_classes=7, but the classifier has 6 class names'),
        (dict(feature='lost'), r"Unknown feature='lost' of TextEmbeddingClsHead"),
        (dict(template_seed=1), 'template_seed=1 has no effect without train_templates'),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(UserError, match=message):
        TextEmbeddingClsHead(D, FixedSource(embed_dims=D), **options)


def test_inputs_that_do_not_fit():
    with pytest.raises(UserError, match=r'takes images \(N, 3, H, W\), not a tensor of shape \(2, 3, 4, 32, 32\)'):
        CLIPImageBackbone(TINY_VIT)(torch.randn(2, 3, 4, 32, 32))
    with pytest.raises(UserError, match=r'give CLIPImageBackbone\(image_size=\(64, 64\)\)'):
        CLIPImageBackbone(TINY_VIT)(torch.randn(2, 3, 64, 64))
    with pytest.raises(
        UserError, match='CLIPImageBackbone takes images, which have no frames to mix: leave `temporal`'
    ):
        CLIPImageBackbone(TINY_VIT, temporal=dict(type='TokenT1D'))
    with pytest.raises(UserError, match='TextEmbeddingClsHead has in_channels=32, but the features are 16 wide'):
        TextEmbeddingClsHead(D, FixedSource(embed_dims=D))((torch.randn(2, 16),))


def test_samples_that_do_not_fit():
    head = TextEmbeddingClsHead(D, FixedSource(embed_dims=D))
    x = (torch.randn(1, D),)
    with pytest.raises(UserError, match=r'scores of 3 classes \(gt_score\), and the head has 6'):
        head.loss(x, [DataSample().set_gt_score(torch.ones(3))])
    with pytest.raises(UserError, match='neither gt_label nor gt_score: the pipeline must end in PackInputs'):
        head.loss(x, [DataSample()])


def test_nothing_sets_up_the_root_logger(monkeypatch):
    """With a handler there, each line of ours would appear twice."""
    monkeypatch.setattr(logging.root, 'handlers', [])
    monkeypatch.setattr(logging, 'basicConfig', lambda **_: pytest.fail('the root logger was set up'))
    assert CLIPImageBackbone(PACKAGED_ARCH, image_size=32).image_size == (32, 32)


def test_a_copy_classifies_alike():
    model = classifier().eval()
    x = torch.randn(N, 3, 32, 32)
    torch.testing.assert_close(copy.deepcopy(model)(x), model(x))
