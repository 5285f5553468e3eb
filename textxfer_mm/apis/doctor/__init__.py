"""Checks of the machine and the installation. Every check survives a missing or broken package."""

from collections.abc import Callable

from textxfer_mm.apis.doctor import decoders, machine, packages
from textxfer_mm.apis.doctor.check import Check, described

__all__ = ['Check', 'run_checks']


def run_checks() -> list[Check]:
    """Run every check, in the order of the table."""
    steps: list[Callable[[], Check | list[Check]]] = [
        machine.check_python,
        packages.check_packages,
        packages.check_forks,
        decoders.check_decord,
        packages.check_opencv,
        packages.check_registration,
        machine.check_gpu,
        machine.check_disk,
        machine.check_shared_memory,
        machine.check_hub,
        machine.check_weights,
    ]
    checks: list[Check] = []
    for step in steps:
        try:
            outcome = step()
        except Exception as error:  # a deleted working folder, no home, a broken package: tell it and go on
            name = getattr(step, '__name__', 'check').removeprefix('check_').replace('_', ' ')
            outcome = Check(name, 'note', f'could not be checked: {described(error)}')
        checks += outcome if isinstance(outcome, list) else [outcome]
    return checks
