"""A mixed batch of labelled and captioned samples for the unified losses, here or on one of two gloo ranks."""

import os

import torch
from torch import nn

from textxfer_mm.losses.gather import gather_labels
from textxfer_mm.losses.unified import classification_loss, contrastive_loss

D, K = 6, 5
#: Classes of the labelled samples, and numbers of the captions of the others: two are equal.
LABELS = torch.tensor([0, 3, 3, 4, 1, 0])
CAPTIONS = torch.tensor([7, 9, 7, 11, 12])
#: name -> which labelled and which captioned samples the first of two ranks holds
SPLITS = {
    '6+0 and 0+5': (range(6), range(0)),
    '0+5 and 6+0': (range(0), range(5)),
    '4+1 and 2+4': (range(4), range(1)),
    '1+5 and 5+0': (range(1), range(5)),
}
WHOLE = list(range(6)), list(range(5))


class Towers(nn.Module):
    """An image tower, a tower of class texts, one of captions, and a learned temperature."""

    def __init__(self):
        super().__init__()
        make = torch.Generator().manual_seed(0)
        self.image, self.classes, self.caption = (nn.Parameter(torch.randn(D, D, generator=make)) for _ in range(3))
        self.logit_scale = nn.Parameter(torch.tensor(1.5))

    def embed(self, labelled, captioned):
        """Images with labels, class rows, images with captions, texts."""
        make = torch.Generator().manual_seed(1)
        images, texts = (torch.randn(11, D, generator=make) for _ in range(2))
        rows = torch.randn(K, D, generator=make) @ self.classes
        images = images @ self.image
        return images[:6][labelled], rows, images[6:][captioned], (texts[CAPTIONS - 3] @ self.caption)[captioned]

    def forward(self, labelled, captioned):
        """L_cls and L_con."""
        images, rows, others, texts = self.embed(labelled, captioned)
        scale = self.logit_scale.exp()
        return (
            classification_loss(images, rows, LABELS[labelled], scale),
            contrastive_loss(others, texts, CAPTIONS[captioned], scale),
        )

    def unicl(self, labelled, captioned):
        """Labelled samples have the text of their class, captions a label of their own."""
        images, rows, others, texts = self.embed(labelled, captioned)
        labels = torch.cat([LABELS[labelled], -1 - CAPTIONS[captioned]])
        texts = torch.cat([rows[LABELS[labelled]], texts])
        return contrastive_loss(torch.cat([images, others]), texts, labels, self.logit_scale.exp())


class Unicl(nn.Module):
    """The same towers under the other loss, as DDP wants it."""

    def __init__(self):
        super().__init__()
        self.towers = Towers()

    def forward(self, labelled, captioned):
        """The one loss."""
        return (self.towers.unicl(labelled, captioned),)


def step(model, labelled, captioned):
    """Losses with the gradients of their sum, by name."""
    model.zero_grad(set_to_none=True)
    losses = torch.stack(model(list(labelled), list(captioned)))
    losses.sum().backward()
    towers = getattr(model, 'module', model)
    return losses.detach(), {name: p.grad.clone() for name, p in towers.named_parameters()}


def worker(rank, port, path):
    """One of two ranks; rank 0 saves the losses of both, and the gradients after DDP's mean."""
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', rank=rank, world_size=2)
    seen = {}
    cases = {**SPLITS, 'pure classes': (range(4), range(0)), 'pure captions': (range(0), range(2))}
    for kind, model in (('iclip', Towers()), ('unicl', Unicl())):
        model = nn.parallel.DistributedDataParallel(model)
        for name, first in cases.items():
            whole = [[] if name == 'pure captions' else WHOLE[0], [] if name == 'pure classes' else WHOLE[1]]
            pairs = zip(first, whole, strict=True)
            own = [list(part) if rank == 0 else [i for i in both if i not in part] for part, both in pairs]
            losses, grads = step(model, *own)
            seen[f'{kind} {name}'] = dict(losses=gather_labels(losses[None]), grads=grads)
    if rank == 0:
        torch.save(seen, path)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
