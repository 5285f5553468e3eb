"""Captioned noise and a tiny dual tower, for the tests of contrastive pre-training; also one of two gloo ranks."""

import os

import torch
from mmengine.config import ConfigDict
from tiny import TINY_RESNET
from torch.utils.data import Dataset

import textxfer_mm.register  # noqa: F401

from mmaction.registry import MODELS  # isort: skip
from mmaction.structures import ActionDataSample  # isort: skip
from mmengine.model import MMDistributedDataParallel  # isort: skip
from mmengine.registry import init_default_scope  # isort: skip

NAMES = ('waving a hat', 'kicking a ball', 'lifting a box')
#: The captions of the joint batch of four: one caption lies on both ranks.
CAPTIONS = ('a red hat', 'a ball in the park', 'a red hat', 'somebody lifts a box')
MEAN, STD = [120.0, 110.0, 100.0], [60.0, 55.0, 50.0]


def caption_sample(caption, label=0):
    """A sample as PackActionInputs(meta_keys=('caption',)) makes it."""
    sample = ActionDataSample().set_gt_label(label)
    if caption is not None:
        sample.set_metainfo(dict(caption=caption))
    return sample


def caption_model(arch=TINY_RESNET, *, seed=0, names=NAMES, **head):
    """The config of a recognizer that trains both towers of ``arch``."""
    encoder = dict(type='CLIPTextEncoder', arch=arch)
    classifier = dict(type='TextClassifier', class_names=list(names), encoder=encoder)
    return dict(
        type='Recognizer3D',
        backbone=dict(type='CLIPBackbone', arch=arch),
        cls_head=dict(type='CaptionMatchingHead', in_channels=arch['embed_dim'], classifier=classifier, **head),
        data_preprocessor=dict(type='ActionDataPreprocessor', mean=MEAN, std=STD, format_shape='NCTHW'),
    )


def build_model(seed=0, **options):
    """The recognizer, initialised as a runner with this seed does."""
    init_default_scope('mmaction')
    torch.manual_seed(seed)
    model = MODELS.build(ConfigDict(caption_model(**options)))
    model.init_weights()
    return model


class CaptionedNoise(Dataset):
    """Stills of noise around a brightness that belongs to the caption."""

    def __init__(self, size=8):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        label = index % len(NAMES)
        pixels = torch.randint(0, 80, (1, 3, 1, 32, 32), generator=torch.Generator().manual_seed(index))
        sample = caption_sample(f'somebody {NAMES[label]}, number {index}', label)
        return dict(inputs=(pixels + 80 * label).to(torch.uint8), data_samples=sample)


def caption_step(model, rows):
    """Loss of some rows of the joint batch, with gradients."""
    inputs = torch.randn(len(CAPTIONS), 1, 3, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    samples = [caption_sample(CAPTIONS[i]) for i in rows]
    model.zero_grad(set_to_none=True)
    loss = model(inputs[rows], samples, mode='loss')['loss_cls']
    loss.backward()
    return loss.detach()


def caption_worker(rank, port, path):
    """One of two ranks: half the batch, twice; rank 0 saves the mean loss and the gradients of the first step."""
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', rank=rank, world_size=2)
    # Batch statistics are those of a rank: in evaluation mode, both ways see the same.
    model = MMDistributedDataParallel(build_model(init_scale=5.0).eval())
    loss = caption_step(model, [2 * rank, 2 * rank + 1])
    torch.distributed.all_reduce(loss)
    grads = {name: p.grad.clone() for name, p in model.module.named_parameters() if p.grad is not None}
    caption_step(model, [2 * rank, 2 * rank + 1])  # DDP would complain here about unused parameters
    if rank == 0:
        torch.save(dict(loss=loss / 2, grads=grads), path)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
