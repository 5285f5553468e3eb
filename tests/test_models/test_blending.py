"""MultiDatasetBlending: videos and targets of MixUp and CutMix across datasets, in a stock data preprocessor."""

import pytest
import torch

from textxfer_mm.errors import UserError
from textxfer_mm.losses.cross_dataset import POLICIES, dense_targets
from textxfer_mm.models import MultiDatasetBlending

from mmaction.registry import MODELS  # isort: skip
from mmaction.structures import ActionDataSample  # isort: skip

CLASSES = {'a': 4, 'b.v1': 3}
BATCH = [('a', 1), ('b.v1', 2), ('a', 3), ('a', 0)]


def samples_of(batch=BATCH):
    return [ActionDataSample(metainfo=dict(dataset_name=name)).set_gt_label(label) for name, label in batch]


def videos():
    """(N, V, C, T, H, W), each full of its own number."""
    return torch.arange(1.0, 5).view(4, 1, 1, 1, 1, 1).expand(4, 1, 3, 2, 8, 12).contiguous()


def targets_of(samples):
    return dense_targets([sample.gt_mixture for sample in samples], CLASSES)


@pytest.mark.parametrize('policy', POLICIES)
@pytest.mark.parametrize('kind', ['mixup', 'cutmix'])
def test_videos_and_targets_have_the_same_share(policy, kind):
    """The flip pairs 0 with 3, both of a, and 1 of b.v1 with 2 of a."""
    torch.manual_seed(3)
    blending = MultiDatasetBlending(policy=policy, **{f'{"mixup" if kind == "cutmix" else "cutmix"}_alpha': 0})
    x, samples = videos(), samples_of()
    mixed, same = blending(x, samples)
    assert same is samples
    assert [sample.gt_label.item() for sample in samples] == [1, 2, 3, 0]
    share = (4 - mixed[0].mean().item()) / 3  # of 1 and 4
    assert 0 < share < 1
    values = set(mixed[0].unique().tolist())
    assert (values == {1.0, 4.0}) if kind == 'cutmix' else (len(values) == 1)
    (t_a, m_a), (t_b, m_b) = targets_of(samples)['a'], targets_of(samples)['b.v1']
    torch.testing.assert_close(t_a[0], torch.tensor([1 - share, share, 0, 0]))
    torch.testing.assert_close(t_a[3], torch.tensor([share, 1 - share, 0, 0]))
    if policy == 'same':
        assert torch.equal(mixed[1:3], x[1:3])
        assert (t_b[1, 2], m_b[1], m_a[1], t_a[2, 3], m_a[2]) == (1, 1, 0, 1, 1)
    else:
        torch.testing.assert_close(mixed[1].mean(), torch.tensor(share * 2 + (1 - share) * 3))
        mass, own, other = (1, share, 1 - share) if policy == 'both' else (share, 1, 0)
        torch.testing.assert_close(torch.stack([t_b[1, 2], m_b[1], m_a[1]]), torch.tensor([mass, own, other]))
        torch.testing.assert_close(torch.stack([t_a[2, 3], m_a[2], m_b[2]]), torch.tensor([mass, own, other]))


def test_partners_and_how_often():
    torch.manual_seed(0)
    partners = {tuple(MultiDatasetBlending(partner='permutation')._partners(4)) for _ in range(40)}
    assert len(partners) > 8
    assert all(sorted(each) == [0, 1, 2, 3] for each in partners)
    x, samples = videos(), samples_of()
    assert MultiDatasetBlending(prob=0)(x, samples)[0] is x
    assert 'gt_mixture' not in samples[0]
    cut = MultiDatasetBlending(switch_prob=0.75)
    assert sum(cut._is_cutmix() for _ in range(200)) / 200 == pytest.approx(0.75, abs=0.1)
    mixed = MultiDatasetBlending(cutmix_alpha=0)(x[:3], samples[:3])[0]
    assert torch.equal(mixed[1], x[1])  # the middle of three is its own partner


def test_in_a_stock_data_preprocessor():
    torch.manual_seed(1)
    preprocessor = MODELS.build(
        dict(
            type='ActionDataPreprocessor',
            mean=[2.0] * 3,
            std=[2.0] * 3,
            format_shape='NCTHW',
            blending=dict(type='MultiDatasetBlending', policy='both'),
        )
    )
    batch = dict(inputs=list(videos().byte()), data_samples=samples_of())
    data = preprocessor(batch, training=True)
    assert data['inputs'].shape == (4, 1, 3, 2, 8, 12)
    assert all('gt_mixture' in sample for sample in data['data_samples'])
    fresh = preprocessor(dict(inputs=list(videos().byte()), data_samples=samples_of()), training=False)
    assert not any('gt_mixture' in sample for sample in fresh['data_samples'])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(policy='dropped'), r"Unknown policy 'dropped'.*Did you mean: drop"),
        (dict(partner='flipped'), r"Unknown partner 'flipped' of MultiDatasetBlending\. Did you mean: flip"),
        (dict(mixup_alpha=0, cutmix_alpha=0), r'needs a mixup_alpha or a cutmix_alpha above 0'),
        (dict(mixup_alpha=-1), r'needs a mixup_alpha or a cutmix_alpha above 0'),
        (dict(prob=1.5), r'prob is a probability, got 1.5'),
        (dict(switch_prob=-0.5), r'switch_prob is a probability, got -0.5'),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(UserError, match=message):
        MultiDatasetBlending(**options)


def test_wrong_samples():
    with pytest.raises(UserError, match='has no dataset_name: wrap each dataset of the dataloader'):
        MultiDatasetBlending()(videos(), [ActionDataSample().set_gt_label(1) for _ in range(4)])
    with pytest.raises(UserError, match='has no gt_label'):
        MultiDatasetBlending()(videos(), [ActionDataSample(metainfo=dict(dataset_name='a')) for _ in range(4)])
