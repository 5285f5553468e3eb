"""Noticing that something changed some tensors, whoever it was."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

#: Integers of the same size as an element; complex numbers do not occur in what is watched.
_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
#: The elements are laid out in rows of this length; each is weighted by its column, and by its row.
_COLUMNS = 1021


class Watch:
    """Remembers some tensors by their checksum, and tells whether they have changed.

    Reading all of them is not for every step: while nothing wrote to them that torch counts, and nobody called
    :meth:`doubt`, they are taken to be the same.
    """

    def __init__(self) -> None:
        self._checksum: tuple[int, ...] = ()
        self._versions: tuple[tuple[int, int], ...] | None = ()

    def remember(self, tensors: Sequence[Tensor]) -> None:
        """Take the tensors as they are now."""
        self._checksum, self._versions = checksum(tensors), _versions(tensors)

    def doubt(self) -> None:
        """Compare the checksum again at the next question: somebody may have written unseen."""
        self._versions = None

    def is_unchanged(self, tensors: Sequence[Tensor]) -> bool:
        """Whether the tensors are those that were remembered."""
        versions = _versions(tensors)
        if versions != self._versions:
            if checksum(tensors) != self._checksum:
                return False
            self._versions = versions
        return True


def _versions(tensors: Iterable[Tensor]) -> tuple[tuple[int, int], ...]:
    """Where each tensor lies, and how often torch saw it written to."""
    return tuple((x.data_ptr(), 0 if x.is_inference() else x._version) for x in tensors)


@torch.no_grad()
def checksum(tensors: Iterable[Tensor]) -> tuple[int, ...]:
    """Three sums of the bits of each tensor, two of them weighted by position.

    Unlike ``torch.Tensor._version`` it sees writes through ``.data`` (moving averages), and a copy of a module has the
    checksum of its original. It moves one small tensor to the CPU.

    Args:
        tensors: Tensors on one device.

    Returns:
        Three integers a tensor.
    """
    sums = []
    for tensor in tensors:
        bits = tensor.detach().contiguous().flatten().view(_INTEGERS[tensor.element_size()])
        grid = functional.pad(bits, (0, -len(bits) % _COLUMNS)).view(-1, _COLUMNS)
        columns, rows = grid.sum(0, dtype=torch.int64), grid.sum(1, dtype=torch.int64)
        sums += [columns.sum(), _weighted(columns), _weighted(rows)]
    return tuple(torch.stack(sums).tolist()) if sums else ()


def _weighted(values: Tensor) -> Tensor:
    return (values * torch.arange(1, len(values) + 1, device=values.device)).sum()
