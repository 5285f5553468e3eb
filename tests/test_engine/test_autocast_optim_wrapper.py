"""bfloat16 training without a GPU."""

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from tiny_runs import run_config, write_dataset
from torch import nn

import textxfer_mm.register  # noqa: F401


def wrapper_of(model, kind='AutocastOptimWrapper', **kwargs):
    return build_optim_wrapper(model, dict(type=kind, optimizer=dict(type='SGD', lr=0.1), **kwargs))


def test_forward_in_bfloat16_and_state_in_float32():
    torch.manual_seed(0)
    model, inputs = nn.Linear(16, 4), torch.randn(8, 16)
    before = model.weight.detach().clone()
    wrapper = wrapper_of(model)
    with wrapper.optim_context(model):
        outputs = model(inputs)
    assert outputs.dtype == torch.bfloat16
    wrapper.backward(outputs.float().square().mean())
    assert model.weight.grad.dtype == torch.float32
    wrapper.step()
    assert model.weight.dtype == torch.float32
    assert not torch.equal(model.weight, before)


def test_the_step_is_that_of_float32_within_bfloat16():
    torch.manual_seed(0)
    start, inputs = nn.Linear(16, 4).state_dict(), torch.randn(8, 16)
    weights = {}
    for kind in ('OptimWrapper', 'AutocastOptimWrapper'):
        model = nn.Linear(16, 4)
        model.load_state_dict(start)
        wrapper = wrapper_of(model, kind)
        with wrapper.optim_context(model):
            loss = model(inputs).float().square().mean()
        wrapper.update_params(loss)
        weights[kind] = model.weight.detach() - start['weight']
    torch.testing.assert_close(weights['AutocastOptimWrapper'], weights['OptimWrapper'], rtol=2e-2, atol=1e-3)
    assert not torch.equal(weights['AutocastOptimWrapper'], weights['OptimWrapper'])


def test_gradients_accumulate():
    model = nn.Linear(4, 1)
    wrapper = wrapper_of(model, accumulative_counts=2)
    wrapper.initialize_count_status(model, 0, 4)
    before = model.weight.detach().clone()
    for step in range(2):
        with wrapper.optim_context(model):
            loss = model(torch.ones(2, 4)).float().sum()
        wrapper.update_params(loss)
        assert torch.equal(model.weight, before) is (step == 0)


@pytest.mark.parametrize('phase', ['train', 'test'])
def test_a_recognizer_in_bfloat16(tmp_path, phase):
    cfg = Config(run_config(write_dataset(tmp_path / 'videos', good=4), tmp_path / 'run'))
    cfg.experiment_name = tmp_path.name
    cfg.optim_wrapper.type = 'AutocastOptimWrapper'
    cfg.test_cfg.fp16 = True
    runner = Runner.from_cfg(cfg)
    seen = []
    runner.model.cls_head.fc_cls.register_forward_hook(lambda module, args, output: seen.append(output.dtype))
    if phase == 'train':
        runner.train()
        saved = torch.load(tmp_path / 'run' / 'epoch_1.pth', weights_only=True)['state_dict']
        assert all(value.dtype == torch.float32 for value in saved.values() if value.is_floating_point())
    else:
        assert 0 <= runner.test()['acc/top1'] <= 1
    assert seen[0] == torch.bfloat16
