"""Batches across processes: the one gather that keeps gradients, and its companion for labels.

How exact gradients come about: the backward of :func:`gather_with_grad` sums, over the ranks, the gradients that their
losses have with respect to a rank's rows. DistributedDataParallel then averages the gradients of the parameters over
the M ranks. So a parameter ends up with the gradient of the mean of the ranks' losses, however these are entangled.
That is the gradient of one process on the joint batch in both usual forms, without any factor:

* **global**: each rank computes the loss of the whole batch (N*M x N*M logits); the mean of M equal losses is it;
* **local**: each rank computes the loss of its own rows (N x N*M logits); the mean over the ranks is it, too.

It holds as well for what each rank uses directly, such as a learned scale.
"""

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn.functional import all_gather

from textxfer_mm.errors import UserError


def world_size() -> int:
    """M, the number of processes; 1 where nothing is distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather_with_grad(x: Tensor) -> Tensor:
    """Concatenate a tensor of all ranks, with exact gradients (see above).

    The gather of the authors' code keeps the gradient of a rank's own rows only, which after averaging leaves 1/M of
    the gradient of the joint batch (Text4Vis, supp. B.3).

    Args:
        x: (N, ...), floating, of the same shape on all ranks.

    Returns:
        (N*M, ...) in the order of the ranks; ``x`` itself for one process.

    Raises:
        UserError: The shapes differ; all ranks raise it.
    """
    if world_size() == 1:
        return x
    _require_equal_shapes(x)
    return torch.cat(all_gather(x), dim=0)


@torch.no_grad()
def gather_labels(labels: Tensor) -> Tensor:
    """Concatenate labels, or whatever has no gradient, of all ranks.

    Args:
        labels: (N, ...), of any type, of the same shape on all ranks.

    Returns:
        (N*M, ...) in the order of the ranks; ``labels`` itself for one process.

    Raises:
        UserError: The shapes differ; all ranks raise it.
    """
    if world_size() == 1:
        return labels
    _require_equal_shapes(labels)
    parts = [torch.empty_like(labels, memory_format=torch.contiguous_format) for _ in range(world_size())]
    dist.all_gather(parts, labels.contiguous())
    return torch.cat(parts, dim=0)


def _require_equal_shapes(x: Tensor) -> None:
    """Compare the shapes first: a collective of unequal ones hangs, or returns garbage."""
    shape = torch.full((8,), -1, dtype=torch.long, device=x.device)
    shape[: x.dim()] = torch.tensor(x.shape, device=x.device)
    shapes = [torch.empty_like(shape) for _ in range(world_size())]
    dist.all_gather(shapes, shape)
    given = [tuple(size for size in s.tolist() if size >= 0) for s in shapes]
    if len(set(given)) > 1:
        raise UserError(
            f'Batches are gathered from ranks that hold the same number of rows; the ranks have {given}. Let the '
            'sampler give each rank equally many (DefaultSampler does) and set drop_last=True in the dataloader.'
        )
