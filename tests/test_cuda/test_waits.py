"""The heads on a GPU: in a training step nothing waits for it, which would leave it idle meanwhile."""

import on_gpu
import pytest
import torch

from textxfer_mm.datasets.tagged import INDEX
from textxfer_mm.models import MultiDatasetHead, TextEmbeddingHead

from mmaction.structures import ActionDataSample  # isort: skip

D = 16


def heads():
    yield MultiDatasetHead(D, dict(a=dict(num_classes=7), b=dict(num_classes=3)), label_smooth_eps=0.1)
    names = [f'class {i}' for i in range(7)]
    yield TextEmbeddingHead(D, dict(type='RandomClassifier', embed_dims=D, class_names=names), label_smooth_eps=0.1)


@pytest.mark.parametrize('head', heads(), ids=lambda head: type(head).__name__)
def test_a_step_waits_for_nothing(head):
    head.init_weights()
    head.to(on_gpu.DEVICE).train()
    parts = [('a', 6), ('b', 2), ('a', 0)]
    samples = [ActionDataSample(metainfo={'dataset_name': name, INDEX: i}).set_gt_label(i) for name, i in parts]
    samples = [sample.to(on_gpu.DEVICE) for sample in samples]
    x = torch.randn(3, D, 2, 1, 1, device=on_gpu.DEVICE, requires_grad=True)
    first = head.loss(x, samples)
    if on_gpu.ON_GPU:
        torch.cuda.set_sync_debug_mode('error')
    try:
        losses = head.loss(x, samples)
        sum(value for name, value in losses.items() if 'loss' in name).backward()
    finally:
        if on_gpu.ON_GPU:
            torch.cuda.set_sync_debug_mode('default')
    assert first.keys() == losses.keys()
    assert all(value.isfinite() for value in losses.values())
