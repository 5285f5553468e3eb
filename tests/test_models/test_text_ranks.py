"""Two real gloo processes: learned prompts and drawn templates give the gradients of one process on the joint batch."""

import socket

import pytest
import torch
import torch.multiprocessing as mp
from prompt_ranks import TEMPLATES, build, train, worker


@pytest.fixture(scope='module')
def two_processes(tmp_path_factory):
    folder = tmp_path_factory.mktemp('ranks')
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    mp.spawn(worker, args=(port, folder, folder / 'cache'), nprocs=2)
    return {name: torch.load(folder / f'{name}.pt', weights_only=True) for name in ('prompt', 'templates')}


@pytest.mark.parametrize(
    ('name', 'head', 'steps'),
    [
        ('prompt', dict(type='LearnablePromptHead', init_scale=1.0), 1),
        ('templates', dict(type='TextEmbeddingHead', train_templates=TEMPLATES), 5),
    ],
)
def test_two_processes_equal_one(two_processes, name, head, steps):
    two = two_processes[name]
    model = build(**head)
    losses = train(model, [0, 1, 2, 3], steps)
    torch.testing.assert_close(two['losses'], losses, atol=1e-6, rtol=1e-6)
    grads = {key: p.grad for key, p in model.named_parameters() if p.grad is not None}
    assert set(grads) == set(two['grads'])
    assert ('cls_head.class_rows.context' in grads) == (name == 'prompt')
    assert len(grads) > 20
    for key, grad in grads.items():
        scale = max(grad.abs().max().item(), 1.0)
        assert (two['grads'][key] - grad).abs().max().item() <= 1e-6 * scale, key


def test_the_steps_drew_different_templates(two_processes):
    assert len({round(loss, 5) for loss in two_processes['templates']['losses'].tolist()}) > 1
