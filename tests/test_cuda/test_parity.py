"""Every head and temporal module gives on the GPU what it gives on the CPU: losses, gradients, scores, after steps."""

import copy

import pytest
import torch
from device_models import MODELS_AND_BATCHES, batch_of, build, take_steps
from mmengine.runner.checkpoint import get_state_dict, save_checkpoint
from on_gpu import DEVICE  # skips this file without a GPU

from textxfer_mm.engine.checkpoint import load_checkpoint_file
from textxfer_mm.evaluation.retrieval import retrieval_recalls

NAMES = list(MODELS_AND_BATCHES)


@pytest.mark.parametrize('name', NAMES)
def test_losses_gradients_and_scores_are_those_of_the_cpu(name):
    want, want_grads, want_scores = take_steps(build(name), name)
    model = build(name, DEVICE)
    got, got_grads, got_scores = take_steps(model, name, device=DEVICE)
    assert {tensor.device.type for tensor in (*model.parameters(), *model.buffers())} == {DEVICE.type}
    for ours, theirs in zip(got, want, strict=True):
        assert ours.keys() == theirs.keys()
        for key, value in theirs.items():
            assert ours[key].device.type == DEVICE.type, key
            torch.testing.assert_close(ours[key].cpu(), value, rtol=1e-3, atol=1e-4, msg=lambda m: f'{key}: {m}')  # noqa: B023
    assert got_grads.keys() == want_grads.keys()
    size = max(grad.norm() for grad in want_grads.values())
    for key, grad in want_grads.items():
        error = (got_grads[key].cpu() - grad).norm()
        assert error <= 1e-3 * grad.norm() + 1e-5 * size, f'{key}: {error} of {grad.norm()}'
    for ours, theirs in zip(got_scores, want_scores, strict=True):
        assert ours.device.type == DEVICE.type
        torch.testing.assert_close(ours.cpu(), theirs, rtol=5e-3, atol=1e-4)


@pytest.mark.parametrize('precision', [torch.bfloat16, torch.float16], ids=['bf16', 'fp16'])
@pytest.mark.parametrize('name', NAMES)
def test_mixed_precision_is_close_to_float32(name, precision):
    if DEVICE.type == 'cpu' and precision == torch.float16:
        pytest.skip('autocast of a CPU is for bfloat16 here')
    want, _, _ = take_steps(build(name), name, 1)
    got, grads, scores = take_steps(build(name, DEVICE), name, 1, device=DEVICE, precision=precision)
    for key, value in want[0].items():
        if 'loss' in key:
            assert got[0][key].dtype == torch.float32
            torch.testing.assert_close(got[0][key].cpu(), value, rtol=0.1, atol=0.05, msg=lambda m: f'{key}: {m}')  # noqa: B023
    assert all(grad.isfinite().all() for grad in grads.values())
    assert all(score.isfinite().all() for score in scores)


@pytest.mark.parametrize('name', NAMES)
def test_a_checkpoint_goes_from_one_device_to_the_other(name, tmp_path):
    """Saved as MMEngine saves it, and whole as ``torch.save`` does it on the GPU; loaded on the CPU and back."""
    torch.manual_seed(1)
    model = build(name, DEVICE)
    _, _, want = take_steps(model, name, 1, device=DEVICE)
    save_checkpoint(dict(state_dict=get_state_dict(model)), str(tmp_path / 'mmengine.pth'))
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'torch.pth')
    for file in ('mmengine.pth', 'torch.pth'):
        for place in ('cpu', DEVICE):
            state = load_checkpoint_file(tmp_path / file, map_location=place)['state_dict']
            other = build(name, place)
            other.load_state_dict(copy.deepcopy(state))
            with torch.no_grad():
                samples = other.eval()(*batch_of(name, 0, place), mode='predict')
            for sample, score in zip(samples, want, strict=True):
                torch.testing.assert_close(sample.pred_score.cpu(), score.cpu(), rtol=5e-3, atol=1e-4)


@pytest.mark.parametrize('name', NAMES)
def test_a_model_that_moves_predicts_on(name):
    """To the GPU after it was used on the CPU, trained there, and back."""
    model = build(name)
    take_steps(model, name, 1)
    take_steps(model.to(DEVICE).train(), name, 1, device=DEVICE)
    with torch.no_grad():
        there = model(*batch_of(name, 0, DEVICE), mode='predict')
        here = model.cpu()(*batch_of(name, 0), mode='predict')
    for ours, theirs in zip(here, there, strict=True):
        assert ours.pred_score.device.type == 'cpu'
        torch.testing.assert_close(ours.pred_score, theirs.pred_score.cpu(), rtol=5e-3, atol=1e-4)


def test_retrieval_takes_embeddings_from_where_they_are():
    items, captions, owners = torch.randn(9, 4), torch.randn(18, 4), torch.arange(18) // 2
    want = retrieval_recalls(items, captions, owners)
    assert retrieval_recalls(items.to(DEVICE), captions.to(DEVICE), owners) == want
    assert retrieval_recalls(items, captions.to(DEVICE).requires_grad_(), owners.to(DEVICE)) == want
