"""The gather in two real gloo processes: gradients of one process on the joint batch."""

import socket

import pytest
import torch
import torch.multiprocessing as mp
from matching_batch import CASES, LABELS, UNEQUAL, TwoTowers, feature_gradients, step, worker

from textxfer_mm.losses.gather import gather_labels, gather_with_grad, world_size


@pytest.fixture(scope='module')
def two(tmp_path_factory):
    """What two ranks saw."""
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    path = tmp_path_factory.mktemp('two') / 'two.pt'
    mp.spawn(worker, args=(port, path), nprocs=2)
    return torch.load(path, weights_only=True)


@pytest.mark.parametrize('case', CASES)
def test_two_processes_equal_one(two, case):
    model = TwoTowers()
    loss = step(model, list(range(8)), form=CASES[case]['form'])
    losses = two[case]['losses']
    torch.testing.assert_close(losses.mean(), loss, atol=1e-6, rtol=0)
    if not CASES[case]['local']:  # each rank has the loss of the joint batch
        torch.testing.assert_close(losses, loss.expand(2), atol=1e-6, rtol=0)
    else:
        assert (losses[0] - losses[1]).abs() > 1e-3
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().max() > 1e-2, name
        torch.testing.assert_close(two[case]['grads'][name], parameter.grad, atol=1e-6, rtol=1e-6, msg=name)


def test_without_gather_each_rank_matches_its_own_rows(two):
    model = TwoTowers()
    losses = [model(list(half)) for half in (range(4), range(4, 8))]
    torch.testing.assert_close(two['no gather']['losses'], torch.stack(losses).detach(), atol=1e-6, rtol=0)
    (sum(losses) / 2).backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(two['no gather']['grads'][name], parameter.grad, atol=1e-6, rtol=1e-6, msg=name)
        assert not torch.allclose(parameter.grad, two['kl local']['grads'][name], atol=1e-3), name


def test_gradients_of_bfloat16_features_are_rounded_once(two):
    """Summed in float32 over the ranks and over the two directions: only what comes out is rounded."""
    for got, want in zip(two['half precision'], feature_gradients(list(range(8)), torch.float32), strict=True):
        assert want.abs().max() > 1e-2
        rounding = 2.0**-8 * want.abs() + 1e-7
        assert ((got / 2 - want).abs() <= rounding).all()  # each of two ranks has the loss of the joint batch


def test_order_of_the_ranks_and_types(two):
    assert torch.equal(two['order']['labels'], LABELS)
    assert two['order']['labels'].dtype == torch.int64
    assert torch.equal(two['order']['flags'], LABELS == 3)
    assert torch.equal(two['features'], torch.tensor([0.0, 0, 0, 1, 1, 1])[:, None].expand(6, 2))


@pytest.mark.parametrize('rows', UNEQUAL)
@pytest.mark.parametrize('case', CASES)
def test_ranks_with_different_numbers_of_rows_equal_one_process(two, case, rows):
    model = TwoTowers()
    loss = step(model, list(range(8)), form=CASES[case]['form'])
    seen = two[f'{rows} rows, {case}']
    torch.testing.assert_close(seen['losses'].mean(), loss, atol=1e-6, rtol=0)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(seen['grads'][name], parameter.grad, atol=1e-6, rtol=1e-6, msg=name)


def test_padding_is_cut_off(two):
    assert torch.equal(two['unequal'], LABELS)


def test_other_shapes_are_an_error_on_all_ranks(two):
    assert two['errors'][0] == two['errors'][1]
    assert len(two['errors'][0]) == 2
    for message in two['errors'][0]:
        assert 'may differ in its number of rows only; the ranks have the shapes [(3, 2), (3, 3)]' in message


def test_one_process_is_left_alone():
    x, labels = torch.randn(3, 2, requires_grad=True), torch.arange(3)
    assert gather_with_grad(x) is x
    assert gather_labels(labels) is labels
    assert world_size() == 1
