"""Two processes that share a GPU have the loss and the gradients of one process on the CPU, on the joint batch."""

import socket

import pytest
import torch
from device_models import batch_of, build
from gpu_ranks import SHARES, step, worker
from on_gpu import DEVICE  # skips this file without a GPU
from torch import multiprocessing


@pytest.fixture(scope='module')
def found(tmp_path_factory):
    """What two ranks found, by name."""
    folder = tmp_path_factory.mktemp('ranks')
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    multiprocessing.spawn(worker, (port, str(folder), DEVICE.type), nprocs=2)
    return {name: torch.load(folder / name, weights_only=True) for name in SHARES}


@pytest.mark.parametrize('name', SHARES)
def test_two_ranks_are_one_process(found, name):
    loss, grads = step(build(name), name, range(len(batch_of(name, 0)[1])), 'cpu')
    torch.testing.assert_close(found[name]['loss'], loss, rtol=1e-4, atol=1e-4)
    size = max(grad.norm() for grad in grads.values() if grad is not None)
    for key, grad in grads.items():
        if grad is not None:
            error = (found[name]['grads'][key] - grad).norm()
            assert error <= 1e-3 * grad.norm() + 1e-5 * size, f'{key}: {error} of {grad.norm()}'
