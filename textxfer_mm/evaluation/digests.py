"""Digests that say what made some features: settings and weights."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


def digest(value: Any) -> str:
    """SHA-256 of what JSON can hold; configs count as their values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def digest_of_weights(weights: Iterable[tuple[str, Tensor]]) -> str:
    """SHA-256 of parameters and buffers with their names, whatever their order."""
    made = hashlib.sha256()
    for name, tensor in sorted(weights, key=lambda pair: pair[0]):
        made.update(f'{name} {tuple(tensor.shape)} {tensor.dtype}'.encode())
        made.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return made.hexdigest()
