"""Two real gloo processes that hold one dataset each: the losses and gradients of one process, over three steps."""

import socket

import pytest
import torch
import torch.multiprocessing as mp
from multi_dataset_ranks import HEADS, STEPS, build, train, worker


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """What two ranks saw."""
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    folder = tmp_path_factory.mktemp('two')
    mp.spawn(worker, args=(port, folder), nprocs=2)
    return folder


@pytest.mark.parametrize('name', HEADS)
def test_two_ranks_of_one_dataset_each_equal_one_process(folder, name):
    two = torch.load(folder / f'{name}.pt', weights_only=True)
    losses, grads = train(build(name), range(8))
    torch.testing.assert_close(two['losses'], losses, atol=1e-6, rtol=1e-6)
    assert losses.std() > 1e-3
    for step in range(STEPS):
        for key, grad in grads[step].items():
            scale = max(grad.abs().max().item(), 1.0)
            assert (two['grads'][step][key] - grad).abs().max().item() <= 1e-6 * scale, (step, key)
    for part in ('heads', 'training_only.projections', 'training_only.expander', 'cosine'):
        found = [grad.abs().max() for key, grad in grads[0].items() if key.startswith(f'cls_head.{part}')]
        assert not found or max(found) > 1e-3, part
