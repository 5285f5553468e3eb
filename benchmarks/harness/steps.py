"""Training steps that are compared: timed in one process and in turns, so that a busy machine burdens all alike."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

CLOCKS = ('wall', 'cpu')


def machine_of(device: str) -> str:
    """The GPU, or the instructions that matter for bf16 on a CPU."""
    return torch.cuda.get_device_name() if device.startswith('cuda') else torch.backends.cpu.get_cpu_capability()


def wait_for(device: str) -> None:
    """Let a GPU finish what it was given; a CPU always has."""
    if device.startswith('cuda'):
        torch.cuda.synchronize(device)


def seconds(step: Callable[[], Any], device: str = 'cpu') -> dict[str, float]:
    """Wall and processor time of one step, until the device is done with it."""
    wait_for(device)
    wall, cpu = time.perf_counter(), time.process_time()
    step()
    wait_for(device)
    return dict(wall=time.perf_counter() - wall, cpu=time.process_time() - cpu)


def in_turns(
    steps: Mapping[str, Callable[[], Any]], rounds: int, device: str = 'cpu'
) -> dict[str, list[dict[str, float]]]:
    """Time steps in turns; the one that goes first changes from round to round, and a round before them warms up."""
    times: dict[str, list[dict[str, float]]] = {name: [] for name in steps}
    for number in range(rounds + 1):
        for name in sorted(steps, reverse=bool(number % 2)):
            times[name].append(seconds(steps[name], device))
    return {name: found[1:] for name, found in times.items()}


def peak_on_gpu(step: Callable[[], Any], device: str) -> int:
    """The most memory in bytes that tensors take on a GPU during a step, what was there before it included."""
    torch.cuda.reset_peak_memory_stats(device)
    step()
    wait_for(device)
    return torch.cuda.max_memory_allocated(device)


def compared(times: Mapping[str, Sequence[Mapping[str, float]]], base: str, other: str) -> dict[str, float]:
    """Medians of both, and the median and the extremes of the ratios of neighbouring steps, by both clocks."""
    result = {}
    for clock in CLOCKS:
        first, second = ([one[clock] for one in times[name]] for name in (base, other))
        ratios = sorted(b / a for a, b in zip(first, second, strict=True))
        result[f'{clock}_{base}_s'], result[f'{clock}_{other}_s'] = map(statistics.median, (first, second))
        result[f'{clock}_ratio'] = statistics.median(ratios)
        result[f'{clock}_ratio_min'], result[f'{clock}_ratio_max'] = ratios[0], ratios[-1]
    return result
