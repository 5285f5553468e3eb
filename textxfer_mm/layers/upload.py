"""Bringing what the CPU knows to a device, without waiting for what the device is at."""

import torch
from torch import Tensor


def upload(x: Tensor, device: torch.device | str | None) -> Tensor:
    """Copy a tensor from the CPU to a device; the copy takes its turn behind what the device was given before.

    ``torch.tensor(values, device='cuda')`` waits until the GPU has done all of that: in the middle of a training step,
    what follows is then launched kernel by kernel on an idle GPU.

    Args:
        x: A tensor on the CPU.
        device: Where it is wanted; None leaves it on the CPU.

    Returns:
        The copy, or ``x`` itself on the CPU.
    """
    if device is None or torch.device(device).type == 'cpu':
        return x
    pinned = x.pin_memory() if torch.device(device).type == 'cuda' else x
    return pinned.to(device, non_blocking=True)
