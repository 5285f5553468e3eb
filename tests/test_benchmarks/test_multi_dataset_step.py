"""The step of several datasets beside that of a linear layer: what is timed, and in which order."""

import argparse

import pytest
import torch
from harness.steps import compared, in_turns
from scripts import load_script
from torch import nn


def test_steps_take_turns_and_the_first_round_warms_up():
    done = []
    times = in_turns({name: lambda name=name: done.append(name) for name in ('a', 'b')}, 3)
    assert done == ['a', 'b', 'b', 'a', 'a', 'b', 'b', 'a']
    assert {name: len(found) for name, found in times.items()} == dict(a=3, b=3)


def test_ratios_are_of_neighbouring_steps():
    times = dict(
        a=[dict(wall=1.0, cpu=2.0), dict(wall=2.0, cpu=2.0), dict(wall=4.0, cpu=2.0)],
        b=[dict(wall=2.0, cpu=2.2), dict(wall=2.0, cpu=2.0), dict(wall=6.0, cpu=2.1)],
    )
    found = compared(times, 'a', 'b')
    assert (found['wall_ratio'], found['wall_ratio_min'], found['wall_ratio_max']) == (1.5, 1.0, 2.0)
    assert (found['wall_a_s'], found['wall_b_s'], found['cpu_b_s']) == (2.0, 2.0, 2.1)
    assert found['cpu_ratio'] == pytest.approx(1.05)


def test_both_heads_train_the_same_backbone(monkeypatch):
    bench = load_script('benchmarks/multi_dataset_step.py')

    backbone = nn.Conv3d(3, bench.WIDTH, (2, 32, 32), (2, 32, 32))
    monkeypatch.setattr(bench, 'backbone_of', lambda arch, frames: backbone)
    seen = []
    monkeypatch.setattr(bench, 'in_turns', lambda steps, rounds, device: seen.append(steps))
    monkeypatch.setattr(bench, 'compared', lambda times, base, other: (base, other))
    args = argparse.Namespace(arch='base', frames=2, videos=4, rounds=1, device='cpu', precision='bf16')
    assert bench.measure(args) == ('linear', 'ours')
    for name, run in seen[0].items():
        run()
        _, head = run.args
        assert backbone.weight.grad.abs().max() > 0, name
        assert all(p.grad is not None for p in head.parameters()), name
    assert len(list(head.training_only['projections'].parameters())) == 6
    assert torch.isfinite(backbone.weight.grad).all()
