"""Training steps in which the CPU waits for no GPU: it has to stay ahead, as the heads' kernels are small and many."""

import pytest
import torch
from device_waits import waits

from textxfer_mm.datasets.tagged import INDEX
from textxfer_mm.models import MultiDatasetBlending, MultiDatasetHead, MultiDatasetTextHead, TextEmbeddingHead
from textxfer_mm.models.dataset_samples import labels_of_samples

from mmaction.models import I3DHead  # isort: skip
from mmaction.structures import ActionDataSample  # isort: skip

D = 6
NAMES = {name: [f'{name} {i}' for i in range(count)] for name, count in (('a', 7), ('b', 3))}
RANDOM = dict(type='RandomClassifier', embed_dims=D)


def tagged(name, label):
    index = {INDEX: label} if isinstance(label, int) else {}
    return ActionDataSample(metainfo=dict(dataset_name=name, **index)).set_gt_label(label)


def batch():
    return [tagged('a', 6), tagged('b', 2), tagged('a', 0), tagged('a', 0)]


def found_in(head, samples):
    """What would wait in a training step, by a head that was used before."""
    head.train()
    head.init_weights()
    x = torch.randn(len(samples), D, 2, 1, 1, requires_grad=True)
    head.loss(x, samples)
    with waits() as found, torch.autocast('cpu', torch.bfloat16):
        losses = head.loss(x, samples)
        sum(value for name, value in losses.items() if 'loss' in name).backward()
    return found


def several_datasets(**of_b):
    datasets = dict(a=dict(num_classes=7), b=dict(num_classes=3, **of_b))
    return MultiDatasetHead(D, datasets, hidden_channels=8, expander_channels=8, label_smooth_eps=0.1)


def text_head(**options):
    datasets = {name: dict(class_names=names) for name, names in NAMES.items()}
    return MultiDatasetTextHead(D, RANDOM, datasets, expander_channels=8, **options)


def test_the_detector_finds_what_waits():
    stock = I3DHead(7, D)
    assert {'cpu', 'numpy', 'tensor on a device'} <= set(found_in(stock, batch()))
    x = torch.arange(3)
    with waits() as found:
        _ = x[[0, 2]], x[x > 1], x.sum().item(), bool(x.sum() > 0), x.unique(), torch.tensor([1], device='cpu')
    assert {'list as an index', 'index', 'item', '__bool__', '_unique2', 'tensor on a device'} <= set(found)


@pytest.mark.parametrize('head', [several_datasets, text_head, lambda: text_head(compared='union', synonyms=0.9)])
def test_a_head_of_several_datasets_waits_for_nothing(head):
    assert found_in(head(), batch()) == []


def test_blended_samples_and_several_labels_neither():
    samples = [*batch()[:1], tagged('b', torch.tensor([1.0, 0.0, 1.0])), *batch()[2:]]
    with waits() as found:
        MultiDatasetBlending(policy='both')(torch.randn(4, 1, 3, 2, 8, 8), samples)
    assert 'tolist' not in found  # its random numbers are the CPU's own
    assert found_in(several_datasets(loss='bce'), samples) == []


def test_only_what_came_without_its_index_is_brought_from_the_device():
    samples = [ActionDataSample(metainfo=dict(dataset_name='a')).set_gt_label(5), tagged('a', 4)]
    assert found_in(several_datasets(), samples) == ['tolist']
    assert labels_of_samples(samples) == [5, 4]


def test_an_index_does_not_outlive_its_label():
    sample = tagged('a', 1).set_gt_label(torch.tensor([0.3, 0.7]))  # as stock blendings do
    assert torch.equal(labels_of_samples([sample])[0], torch.tensor([0.3, 0.7]))


def test_the_head_of_text4vis_waits_for_nothing():
    head = TextEmbeddingHead(D, {**RANDOM, 'class_names': NAMES['a']}, max_scale=100.0)
    assert found_in(head, [tagged('a', label) for label in (6, 2, 0)]) == []
