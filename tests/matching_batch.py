"""A matching loss on some rows of a joint batch, in this process or as one of two gloo ranks."""

import os

import torch
from tiny import TINY_VIT
from torch import nn

import textxfer_mm.register  # noqa: F401
from textxfer_mm.errors import UserError
from textxfer_mm.losses.contrastive import symmetric_matching_loss
from textxfer_mm.losses.gather import gather_labels, gather_with_grad, world_size

from mmaction.registry import MODELS  # isort: skip
from mmaction.structures import ActionDataSample  # isort: skip
from mmengine.model import MMDistributedDataParallel  # isort: skip
from mmengine.registry import init_default_scope  # isort: skip

#: Classes of the joint batch: several positives within a rank and across ranks.
LABELS = torch.tensor([0, 3, 3, 5, 3, 0, 2, 2])
D = 6
#: name -> arguments of the loss
CASES = {
    f'{form} {"local" if local else "global"}': dict(form=form, local=local)
    for form in ('kl', 'ce')
    for local in (True, False)
}
#: How many of the eight rows the first rank holds where the ranks hold different numbers.
UNEQUAL = (5, 8)


class TwoTowers(nn.Module):
    """A video tower, a text tower and a learned scale."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.video = nn.Parameter(torch.randn(D, D, generator=generator))
        self.text = nn.Parameter(torch.randn(D, D, generator=generator))
        self.logit_scale = nn.Parameter(torch.tensor(1.5))

    def forward(self, rows, **options):
        """Loss of some rows of the joint batch."""
        generator = torch.Generator().manual_seed(1)
        videos = torch.randn(len(LABELS), D, generator=generator)[rows] @ self.video
        texts = torch.randn(6, D, generator=generator)[LABELS[rows]] @ self.text
        return symmetric_matching_loss(videos, texts, self.logit_scale.exp(), LABELS[rows], **options)


def step(model, rows, **options):
    """Loss of some rows of the joint batch, with gradients."""
    model.zero_grad(set_to_none=True)
    loss = model(rows, **options)
    loss.backward()
    return loss.detach()


def feature_gradients(rows, dtype):
    """Gradients of the loss of the joint batch with respect to some rows of it, which bfloat16 holds exactly."""
    generator = torch.Generator().manual_seed(2)
    features = torch.randn(2, len(LABELS), 64, generator=generator).bfloat16()[:, rows].to(dtype)
    videos, texts = (x.requires_grad_() for x in features.unbind())
    symmetric_matching_loss(videos, texts, 20.0, LABELS[rows], local=False).backward()
    return videos.grad, texts.grad


def worker(rank, port, path):
    """One of two ranks: half the batch; rank 0 saves what it saw."""
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', rank=rank, world_size=2)
    model = nn.parallel.DistributedDataParallel(TwoTowers())
    half = range(4 * rank, 4 * rank + 4)
    seen = {}
    for name, options in (*CASES.items(), ('no gather', dict(gather=False))):
        loss = step(model, list(half), **options)
        losses = gather_labels(loss[None])  # (M,)
        seen[name] = dict(losses=losses, grads={n: p.grad.clone() for n, p in model.module.named_parameters()})
    for rows in UNEQUAL:
        share = range(rows) if rank == 0 else range(rows, len(LABELS))
        for name, options in CASES.items():
            loss = step(model, list(share), **options)
            grads = {n: p.grad.clone() for n, p in model.module.named_parameters()}
            seen[f'{rows} rows, {name}'] = dict(losses=gather_labels(loss[None]), grads=grads)
    seen['unequal'] = gather_labels(LABELS[:5] if rank == 0 else LABELS[5:])
    seen['half precision'] = [gather_labels(grad.float()) for grad in feature_gradients(list(half), torch.bfloat16)]
    seen['order'] = dict(labels=gather_labels(LABELS[half]), flags=gather_labels(LABELS[half] == 3))
    seen['features'] = gather_with_grad(torch.full((2, 3), float(rank)).t())
    seen['world'] = torch.tensor(world_size())
    messages = []
    for gather in (gather_labels, gather_with_grad):
        try:
            gather(torch.zeros(3, 2 + rank))
        except UserError as error:
            messages.append(str(error))
    errors = [None, None]
    torch.distributed.all_gather_object(errors, messages)
    seen['errors'] = errors
    if rank == 0:
        torch.save(seen, path)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def build_recognizer(text):
    """ViT + VideoTextMatchingHead, seeded."""
    init_default_scope('mmaction')
    torch.manual_seed(0)
    names = ['waving', 'clapping hands', 'jumping', 'running', 'sitting', 'standing up']
    encoder = dict(type='CLIPTextEncoder', arch=TINY_VIT)
    classifier = dict(type='TextClassifier', class_names=names, encoder=encoder, use_cache=False)
    head = dict(type='VideoTextMatchingHead', in_channels=32, classifier=classifier, text=text, init_scale=10.0)
    backbone = dict(type='CLIPBackbone', arch=TINY_VIT)
    model = MODELS.build(dict(type='Recognizer3D', backbone=backbone, cls_head=head))
    model.init_weights()
    return model.train()


def recognizer_step(model, rows):
    """Loss of some rows of the joint batch of four videos, with gradients."""
    labels = [0, 3, 3, 5]  # a class that both ranks have
    inputs = torch.randn(4, 1, 3, 2, 32, 32, generator=torch.Generator().manual_seed(1))
    samples = [ActionDataSample().set_gt_label(labels[i]) for i in rows]
    loss = model(inputs[rows], samples, mode='loss')['loss_cls']
    loss.backward()
    return loss.detach()


def recognizer_worker(rank, port, path):
    """One of two ranks: half the batch, twice; rank 0 saves the mean loss and the gradients of the first."""
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', rank=rank, world_size=2)
    seen = {}
    for text in ('online', 'offline'):
        model = MMDistributedDataParallel(build_recognizer(text))
        loss = recognizer_step(model, [2 * rank, 2 * rank + 1])
        torch.distributed.all_reduce(loss)
        grads = {name: p.grad.clone() for name, p in model.module.named_parameters() if p.grad is not None}
        recognizer_step(model, [2 * rank, 2 * rank + 1])  # DDP would complain here about unused parameters
        seen[text] = dict(loss=loss / 2, grads=grads)
    if rank == 0:
        torch.save(seen, path)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
