"""Batches across processes: the one gather that keeps gradients, and its companion for labels.

How exact gradients come about: the backward of :func:`gather_with_grad` sums, over the ranks, the gradients that their
losses have with respect to a rank's rows. DistributedDataParallel then averages the gradients of the parameters over
the M ranks. So a parameter ends up with the gradient of the mean of the ranks' losses, however these are entangled.
That is the gradient of one process on the joint batch in both usual forms, without any factor:

* **global**: each rank computes the loss of the whole batch (B x B logits); the mean of M equal losses is it;
* **local**: each rank computes the sum of its own rows' losses (N x B logits), times M / B; the mean over the ranks is
  it, too. Where all ranks hold N rows, this is the mean of the N losses.

It holds as well for what each rank uses directly, such as a learned scale.

The ranks may hold different numbers of rows, and none at all: the rows are padded for the exchange, and the padding is
cut off again, so that no gradient flows into it.
"""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn.functional import all_gather

from textxfer_mm.errors import UserError


def world_size() -> int:
    """M, the number of processes; 1 where nothing is distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


@torch.no_grad()
def rows_a_rank(rows: int, device: torch.device | str | None = None) -> Tensor | float:
    """B / M: what each of M ranks divides the sum of its own rows' losses by to have the loss of the joint batch.

    Args:
        rows: N of this rank; none is fine.
        device: Where the ranks exchange it.

    Returns:
        A scalar in float32 on the device; N itself for one process.
    """
    if world_size() == 1:
        return float(rows)
    total = torch.full((), float(rows), device=device)
    dist.all_reduce(total)
    return total / world_size()


def gather_with_grad(x: Tensor) -> Tensor:
    """Concatenate a tensor of all ranks, with exact gradients (see above).

    The gather of the authors' code keeps the gradient of a rank's own rows only, which after averaging leaves 1/M of
    the gradient of the joint batch (Text4Vis, supp. B.3).

    Args:
        x: (N, ...), floating; N may differ between the ranks, the other axes may not.

    Returns:
        (B, ...) in the order of the ranks, with B the sum of their N; ``x`` itself for one process.

    Raises:
        UserError: The ranks' rows are of different shapes; all ranks raise it.
    """
    if world_size() == 1:
        return x
    counts = _counts(x)
    if not any(counts):
        return x
    return _concatenate(all_gather(_padded(x, max(counts))), counts)


@torch.no_grad()
def gather_labels(labels: Tensor) -> Tensor:
    """Concatenate labels, or whatever has no gradient, of all ranks.

    Args:
        labels: (N, ...), of any type; N may differ between the ranks, the other axes may not.

    Returns:
        (B, ...) in the order of the ranks, with B the sum of their N; ``labels`` itself for one process.

    Raises:
        UserError: The ranks' rows are of different shapes; all ranks raise it.
    """
    if world_size() == 1:
        return labels
    counts = _counts(labels)
    if not any(counts):
        return labels
    own = _padded(labels, max(counts)).contiguous()
    parts = [torch.empty_like(own) for _ in counts]
    dist.all_gather(parts, own)
    return _concatenate(parts, counts)


def _concatenate(parts: Sequence[Tensor], counts: Sequence[int]) -> Tensor:
    """Cut the padding off and join the ranks' rows."""
    return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])


def _padded(x: Tensor, rows: int) -> Tensor:
    """Add rows of zeros up to a number of rows."""
    return x if len(x) == rows else torch.cat([x, x.new_zeros(rows - len(x), *x.shape[1:])])


def _counts(x: Tensor) -> list[int]:
    """The number of rows of each rank; compares the other axes, as a collective of unequal ones hangs or lies."""
    shape = torch.full((8,), -1, dtype=torch.long, device=x.device)
    shape[: x.dim()] = torch.tensor(x.shape, device=x.device)
    shapes = [torch.empty_like(shape) for _ in range(world_size())]
    dist.all_gather(shapes, shape)
    given = [tuple(size for size in s.tolist() if size >= 0) for s in shapes]
    if len({one[1:] for one in given}) > 1 or not all(given):
        raise UserError(
            f'What is gathered from the ranks may differ in its number of rows only; the ranks have the shapes '
            f'{given}. All of them must run the same model.'
        )
    return [one[0] for one in given]
