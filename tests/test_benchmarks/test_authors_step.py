"""The authors' form that the training step is measured against: the same values, and computed three times indeed."""

import argparse

import pytest
import torch
from scripts import load_script
from tiny import TINY_VIT


@pytest.fixture(scope='module')
def bench():
    return load_script('benchmarks/authors_step.py')


@pytest.fixture
def models(bench):
    return bench.build_models(bench.config_of(argparse.Namespace(arch=TINY_VIT)), 'cpu')


def video():
    return torch.randn(2, 3, 4, 32, 32, generator=torch.Generator().manual_seed(0))


def test_loss_and_every_gradient_are_ours(bench, models):
    losses = {form: bench.step(models[form], video(), 'fp32').item() for form in bench.FORMS}
    assert losses["authors'"] == pytest.approx(losses['ours'], abs=1e-5)
    theirs = {name.replace('blocks.', 'resblocks.').replace('.block.', '.'): p for name, p in grads(models["authors'"])}
    ours = dict(grads(models['ours']))
    assert theirs.keys() == ours.keys()
    for name, gradient in ours.items():
        torch.testing.assert_close(theirs[name], gradient, atol=1e-5, rtol=1e-4, msg=name)


def grads(model):
    return [(name, p.grad) for name, p in model.named_parameters() if p.grad is not None]


def test_the_check_of_the_script_passes_and_notices(bench, models):
    for precision in ('fp32', 'bf16'):
        assert bench.check(models, video(), precision)['gradient_difference'] < 0.1
    with torch.no_grad():
        next(models['ours']['neck'].parameters()).add_(1.0)
    with pytest.raises(SystemExit, match='the forms differ'):
        bench.check(models, video(), 'fp32')


def test_attention_and_mlp_of_the_tower_run_three_times_a_step(bench, models):
    counts = {}
    for form in bench.FORMS:
        transformer = models[form]['backbone'].visual.transformer
        mlp = next(m for name, m in transformer.named_modules() if name.endswith('mlp'))
        counts[form] = 0

        def count(*_, form=form):
            counts[form] += 1

        mlp.register_forward_hook(count)
        bench.step(models[form], video(), 'fp32')
    assert counts == {"authors'": 3, 'ours': 1}


def test_ratios_are_medians_over_the_rounds(bench):
    times = {
        ("authors'", 'fp32'): dict(wall=[6.0, 9.0, 8.0]),
        ('ours', 'fp32'): dict(wall=[3.0, 3.0, 2.0]),
        ('ours', 'bf16'): dict(wall=[1.0, 1.0, 1.0]),
    }
    fp32, mixed = bench.ratios(times, 'wall')
    assert (fp32['median'], fp32['all'], fp32['wanted']) == (3.0, [2.0, 3.0, 4.0], 1.5)
    assert (mixed['median'], mixed['wanted']) == (8.0, 4.0)


@pytest.mark.parametrize(
    ('name', 'peak'),
    [('NVIDIA H100 80GB HBM3', 989e12), ('NVIDIA H100 PCIe', 756e12), ('NVIDIA A100-SXM4-40GB', 312e12), ('X', None)],
)
def test_peaks_by_the_name_of_the_gpu(bench, monkeypatch, name, peak):
    monkeypatch.setattr(bench, 'machine_of', lambda args: name)
    assert bench.peak_of(argparse.Namespace(device='cuda', peak_tflops=None)) == peak
    assert bench.peak_of(argparse.Namespace(device='cuda', peak_tflops=100.0)) == 1e14
    assert bench.peak_of(argparse.Namespace(device='cpu', peak_tflops=None)) is None
