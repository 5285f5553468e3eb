"""Training steps of the heads of several datasets, in this process or as one of two ranks that hold one each."""

import os

import torch
from tiny import TINY_VIT

import textxfer_mm.register  # noqa: F401
from textxfer_mm.losses.cross_dataset import blended_target

from mmaction.registry import MODELS  # isort: skip
from mmaction.structures import ActionDataSample  # isort: skip
from mmengine.model import MMDistributedDataParallel  # isort: skip
from mmengine.registry import init_default_scope  # isort: skip

CLASSES = {'a.1': 4, 'keys': 3, 'absent': 6}
NAMES = {
    'a.1': ['walking', 'jumping', 'sitting down', 'clapping'],
    'keys': ['Jumping', 'going on foot', 'reading'],
    'absent': ['sleeping', 'eating', 'drinking', 'painting', 'typing', 'swimming'],
}
#: Dataset and label of each sample of the joint batch; the first rank holds those of the first dataset.
BATCH = [('a.1', 0), ('a.1', 3), ('a.1', 1), ('a.1', 1), ('a.1', 2), ('keys', 2), ('keys', 0), ('keys', 1)]
SHARES = (range(5), range(5, 8))
#: The loss of the second is that of several labels a video.
DATASETS = {name: dict(num_classes=k) for name, k in CLASSES.items()}
DATASETS['keys'].update(loss='bce', weight=10.0)
TEXT = dict(
    type='MultiDatasetTextHead',
    classifier=dict(type='TextClassifier', encoder=dict(type='CLIPTextEncoder', arch=TINY_VIT), use_cache=False),
    datasets={name: dict(class_names=names) for name, names in NAMES.items()},
    expander_channels=16,
    init_scale=5.0,
)
HEADS = {
    'mlp': dict(
        type='MultiDatasetHead',
        datasets=DATASETS,
        hidden_channels=16,
        dropout=0.0,
        expander_channels=16,
        label_smooth_eps=0.1,
    ),
    'text': TEXT,
    'union': dict(TEXT, compared='union', synonyms=[['walking', 'going on foot']], label_smooth_eps=0.1),
}
STEPS = 3


def build(name, **changes):
    """ViT and a head, seeded; projections and expander are large enough to matter."""
    init_default_scope('mmaction')
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='Recognizer3D',
            backbone=dict(type='CLIPBackbone', arch=TINY_VIT),
            cls_head=dict(HEADS[name], in_channels=32, **changes),
        )
    )
    model.init_weights()
    for key, parameter in model.cls_head.named_parameters():
        if key.startswith(('heads', 'training_only')):
            parameter.data.mul_(10)
    return model.train()


def sample_of(number, blend=False):
    """One sample of the joint batch; a blended one has the next as its partner, with the policy 'both'."""
    dataset, label = BATCH[number]
    sample = ActionDataSample(metainfo=dict(dataset_name=dataset)).set_gt_label(label)
    if blend:
        target = blended_target(BATCH[number], BATCH[(number + 3) % len(BATCH)], 0.3, 'both')
        sample.set_field(target, 'gt_mixture', field_type='metainfo')
    return sample


def inputs_of(step):
    """The videos of a step."""
    return torch.randn(len(BATCH), 1, 3, 2, 32, 32, generator=torch.Generator().manual_seed(step))


def train(model, rows):
    """Three steps of SGD on some rows of the joint batch, the second one blended: losses and gradients of each."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    losses, grads = [], []
    for step in range(STEPS):
        optimizer.zero_grad()
        samples = [sample_of(i, blend=step == 1) for i in rows]
        parts = model(inputs_of(step)[list(rows)], samples, mode='loss')
        loss = sum(value for key, value in parts.items() if 'loss' in key)
        loss.backward()
        losses.append(loss.detach())
        grads.append({k: p.grad.clone() for k, p in getattr(model, 'module', model).named_parameters()})
        optimizer.step()
    return torch.stack(losses), grads


def worker(rank, port, folder):
    """One of two ranks, which holds another dataset; rank 0 saves the mean losses and the gradients."""
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', rank=rank, world_size=2)
    for name in HEADS:
        model = MMDistributedDataParallel(build(name), find_unused_parameters=False)
        losses, grads = train(model, SHARES[rank])
        torch.distributed.all_reduce(losses)
        if rank == 0:
            torch.save(dict(losses=losses / 2, grads=grads), folder / f'{name}.pt')
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
