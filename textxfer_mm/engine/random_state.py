"""The states of the random generators of this process: Python's, NumPy's and PyTorch's."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def random_state() -> dict[str, Any]:
    """The states of all generators, as plain values and tensors that a checkpoint can hold."""
    name, keys, *rest = np.random.get_state()
    state = dict(python=random.getstate(), numpy=(name, keys.tolist(), *rest), torch=torch.get_rng_state())
    return state | (dict(cuda=torch.cuda.get_rng_state()) if torch.cuda.is_available() else {})


def restore_random_state(state: dict[str, Any]) -> None:
    """Take up what :func:`random_state` gave."""
    random.setstate(state['python'])
    np.random.set_state(state['numpy'])
    torch.set_rng_state(state['torch'].cpu())
    if 'cuda' in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'].cpu())


@contextmanager
def keeping_random_state() -> Iterator[None]:
    """Let what is drawn within the block change nothing of what is drawn after it."""
    state = random_state()
    try:
        yield
    finally:
        restore_random_state(state)
