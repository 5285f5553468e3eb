"""Two real gloo processes: the loss and the gradients of one process on the joint batch."""

import socket

import pytest
import torch
import torch.multiprocessing as mp
from image_joint_batch import build, step, worker


def test_two_processes_equal_one(tmp_path):
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    mp.spawn(worker, args=(port, tmp_path / 'two.pt'), nprocs=2)
    two = torch.load(tmp_path / 'two.pt', weights_only=True)

    model = build()
    loss = step(model, [0, 1, 2, 3])
    assert two['loss'].item() == pytest.approx(loss.item(), rel=1e-6)
    trained = {name for name, p in model.named_parameters() if p.grad is not None}
    assert trained == set(two['grads'])
    assert 'head.cosine.logit_scale' in trained
    for name in trained:
        grad = model.get_parameter(name).grad
        scale = max(grad.abs().max().item(), 1.0)
        assert (two['grads'][name] - grad).abs().max().item() <= 1e-6 * scale, name
