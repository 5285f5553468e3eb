"""``UnifiedContrastiveClsHead`` under MMPretrain's ``ImageClassifier``: the objective and state of the video side."""

import pytest
import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from tiny import TINY_VIT
from unified_model import JOINT, NAMES, unified_sample

from textxfer_mm.errors import UserError
from textxfer_mm.image import UnifiedContrastiveClsHead
from textxfer_mm.models import UnifiedContrastiveHead

D = 32
CLASSIFIER = dict(type='TextClassifier', class_names=list(NAMES), encoder=dict(type='CLIPTextEncoder', arch=TINY_VIT))


def image_sample(label=None, caption=None):
    """A sample as PackInputs(meta_keys=('caption',)) makes it."""
    sample = DataSample() if label is None else DataSample().set_gt_label(label)
    sample.set_metainfo({} if caption is None else dict(caption=caption))
    return sample


@pytest.mark.parametrize('objective', [None, dict(form='unicl')])
def test_the_same_as_on_the_video_side(objective):
    options = dict(classifier=CLASSIFIER, init_scale=5.0, objective=objective)
    image, video = UnifiedContrastiveClsHead(D, **options), UnifiedContrastiveHead(D, topk=1, **options)
    image.init_weights()
    video.load_state_dict(image.state_dict(), strict=True)
    feats = torch.randn(len(JOINT), D)
    ours = image.loss((feats,), [image_sample(**facts) for facts in JOINT])
    theirs = video.loss(feats, [unified_sample(**facts) for facts in JOINT])
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, msg=name)


def test_a_mixed_batch_through_an_image_classifier():
    head = dict(type='UnifiedContrastiveClsHead', in_channels=D, classifier=CLASSIFIER, topk=(1, 2))
    model = MODELS.build(
        dict(
            type='ImageClassifier',
            backbone=dict(type='CLIPImageBackbone', arch=TINY_VIT),
            head=head,
            data_preprocessor=dict(type='MixedDataPreprocessor', mean=[120, 110, 100], std=[60] * 3, to_rgb=True),
        )
    )
    model.init_weights()
    images = [torch.randint(0, 255, (3, 32, 32), dtype=torch.uint8) for _ in JOINT]
    data = model.data_preprocessor(dict(inputs=images, data_samples=[image_sample(**facts) for facts in JOINT]))
    first = (images[0].flip(0).float() - torch.tensor([120.0, 110.0, 100.0])[:, None, None]) / 60
    torch.testing.assert_close(data['inputs'][0], first)
    found = model(**data, mode='loss')
    assert set(found) == {'loss_cls', 'loss_con', 'top1_acc', 'top2_acc', 'match_acc'}
    (found['loss_cls'] + found['loss_con']).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)
    predicted = model.eval()(**data, mode='predict')
    sums = [sample.pred_score.sum().item() for sample in predicted]
    assert sums == pytest.approx([1.0] * len(JOINT))


@pytest.mark.parametrize(
    'option', [dict(loss=dict(type='LabelSmoothLoss')), dict(cal_acc=True), dict(multi_label=True)]
)
def test_options_that_have_no_effect(option):
    with pytest.raises(UserError, match=f'UnifiedContrastiveClsHead takes no {next(iter(option))}: its losses are'):
        UnifiedContrastiveClsHead(D, CLASSIFIER, **option)


def test_captions_cannot_be_mixed():
    augments = dict(augments=[dict(type='Mixup', alpha=0.8)])
    with pytest.raises(UserError, match=r"takes no batch_augments.*Mixup.*Leave out the classifier's train_cfg"):
        MODELS.build(dict(type='MixedDataPreprocessor', batch_augments=augments))
