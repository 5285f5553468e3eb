"""Labelled and captioned stills and a tiny dual tower, here or on one of two gloo ranks, for the unified head."""

import os

import torch
from captioned import MEAN, STD
from mmengine.config import ConfigDict
from tiny import TINY_VIT
from torch.utils.data import Dataset

import textxfer_mm.register  # noqa: F401
from textxfer_mm.losses.gather import gather_labels

from mmaction.registry import MODELS  # isort: skip
from mmaction.structures import ActionDataSample  # isort: skip
from mmengine.model import MMDistributedDataParallel  # isort: skip
from mmengine.registry import init_default_scope  # isort: skip

NAMES = ('waving a hat', 'kicking a ball', 'lifting a box', 'sitting', 'jumping over the fence')
#: The joint batch: six labelled samples, then five with captions, of which two are equal.
JOINT = (
    *(dict(label=label) for label in (0, 3, 3, 4, 1, 0)),
    *(dict(caption=text) for text in ('a red hat', 'a ball in the park', 'a red hat', 'somebody lifts a box', 'a dog')),
)
#: name -> the head's options, the rows of rank 0 and those of rank 1
RANKS = {
    '6+0 and 0+5': (dict(), range(6), range(6, 11)),
    'sharded': (dict(objective=dict(shard_classes=True), text_batch_size=2), range(6), range(6, 11)),
    'sharded 5+5 and 1+0': (dict(objective=dict(shard_classes=True)), range(1, 11), range(1)),
    'a class less than ranks': (dict(objective=dict(shard_classes=True), names=NAMES[:1]), (0, 6), (5, 7)),
    'unicl': (dict(objective=dict(form='unicl')), range(6), range(6, 11)),
    'pure classes': (dict(objective=dict(shard_classes=True)), range(4), range(4, 6)),
    'pure captions': (dict(), range(6, 7), range(7, 11)),
    'negatives': (dict(objective=dict(num_negatives=1, shard_classes=True)), range(6), range(6, 11)),
    'kept': (dict(objective=dict(refresh_interval=2, shard_classes=True)), range(6), range(6, 11)),
}


def unified_sample(label=None, caption=None, text=None):
    """A sample as PackActionInputs makes it: with a label, with a caption, or with both."""
    sample = ActionDataSample()
    if label is not None:
        sample.set_gt_label(label)
    if text is not None:
        sample.set_field(text, 'text')
    sample.set_metainfo({} if caption is None else dict(caption=caption))
    return sample


def unified_model(arch=TINY_VIT, names=NAMES, templates=('{}', 'a video of {}'), **head):
    """The config of a recognizer that trains both towers of ``arch``."""
    encoder = dict(type='CLIPTextEncoder', arch=arch)
    classifier = dict(type='TextClassifier', class_names=list(names), templates=list(templates), encoder=encoder)
    head = dict(type='UnifiedContrastiveHead', in_channels=arch['embed_dim'], classifier=classifier, **head)
    return dict(
        type='Recognizer3D',
        backbone=dict(type='CLIPBackbone', arch=arch),
        cls_head=head,
        data_preprocessor=dict(type='ActionDataPreprocessor', mean=MEAN, std=STD, format_shape='NCTHW'),
    )


def build_unified(seed=0, **options):
    """The recognizer, initialised as a runner with this seed does; its weights are none that anything starts from."""
    init_default_scope('mmaction')
    torch.manual_seed(seed)
    model = MODELS.build(ConfigDict(unified_model(init_scale=5.0, **options)))
    model.init_weights()
    return model.train()


def unified_step(model, rows):
    """Losses of some rows of the joint batch, with the gradients of their sum."""
    inputs = torch.randn(len(JOINT), 1, 3, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    samples = [unified_sample(**JOINT[i]) for i in rows]
    model.zero_grad(set_to_none=True)
    found = model(inputs[list(rows)], samples, mode='loss')
    losses = torch.stack([value for name, value in found.items() if name.startswith('loss')])
    losses.sum().backward()
    return losses.detach(), {name.removeprefix('module.'): p.grad for name, p in model.named_parameters()}


class MixedNoise(Dataset):
    """Stills of noise around a brightness that belongs to the class; every other one has a caption instead."""

    def __init__(self, size=12, mixed=True):
        self.size, self.mixed = size, mixed

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        label = index // 2 % len(NAMES)
        pixels = torch.randint(0, 60, (1, 3, 1, 32, 32), generator=torch.Generator().manual_seed(index))
        captioned = self.mixed and index % 2
        sample = unified_sample(caption=f'{NAMES[label]}, {index}') if captioned else unified_sample(label=label)
        return dict(inputs=(pixels + 45 * label).to(torch.uint8), data_samples=sample)


def unified_worker(rank, port, path):
    """One of two ranks; rank 0 saves the losses of both, and the gradients after DDP's mean, of the second step."""
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', rank=rank, world_size=2)
    seen = {}
    for name, (head, *rows) in RANKS.items():
        model = MMDistributedDataParallel(build_unified(**head))
        unified_step(model, rows[rank])
        losses, grads = unified_step(model, rows[rank])  # DDP would complain here about unused parameters
        seen[name] = dict(losses=gather_labels(losses[None]), grads={name: g.clone() for name, g in grads.items()})
    if rank == 0:
        torch.save(seen, path)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
