"""A checksum of tensors, to notice that something changed them."""

from collections.abc import Iterable

import torch
from torch import Tensor

#: Integers of the same size as an element; complex numbers do not occur in what is watched.
_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
#: The weights of the positions repeat after this many elements: a prime, so that swapped rows are seen.
_PERIOD = 1021


@torch.no_grad()
def checksum(tensors: Iterable[Tensor]) -> tuple[int, ...]:
    """Two sums of the bits of each tensor, one of them weighted by position.

    It is exact where ``torch.Tensor._version`` is not: writes through ``.data`` (moving averages) are seen, and a copy
    of a module has the checksum of its original. It moves one small tensor to the CPU.

    Args:
        tensors: Tensors on one device.

    Returns:
        Two integers a tensor.
    """
    sums = []
    for tensor in tensors:
        bits = tensor.detach().contiguous().flatten().view(_INTEGERS[tensor.element_size()])
        whole = len(bits) - len(bits) % _PERIOD
        columns = bits[:whole].view(-1, _PERIOD).sum(0, dtype=torch.int64)  # (period,)
        columns[: len(bits) - whole] += bits[whole:]
        place = torch.arange(1, _PERIOD + 1, device=bits.device)
        sums += [columns.sum(), (columns * place).sum()]
    return tuple(torch.stack(sums).tolist()) if sums else ()
