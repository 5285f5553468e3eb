"""Times what a person waits for before anything happens: ``python benchmarks/import_time.py [--runs 5]``.

For each pure room (all its modules), for registration and for ``import torch``: seconds and number of modules loaded,
each the minimum over fresh processes that take turns, and the ratio to ``import torch``.
"""

import argparse
import subprocess
import sys

TARGETS = ('torch', 'textxfer_mm', *(f'textxfer_mm.{room}' for room in ('text', 'layers', 'losses', 'classifiers')))
TARGETS += ('textxfer_mm.evaluation', 'textxfer_mm.register')

CODE = """
import importlib, pkgutil, sys, time
start, before = time.perf_counter(), set(sys.modules)
name = sys.argv[1]
module = importlib.import_module(name)
if name.startswith('textxfer_mm.') and hasattr(module, '__path__'):
    for part in pkgutil.walk_packages(module.__path__, f'{name}.'):
        importlib.import_module(part.name)
print(time.perf_counter() - start, len(set(sys.modules) - before))
"""


def measure(name: str) -> tuple[float, int]:
    """Seconds and number of loaded modules of one import in a fresh process."""
    done = subprocess.run([sys.executable, '-c', CODE, name], capture_output=True, text=True, check=True)
    seconds, modules = done.stdout.split()
    return float(seconds), int(modules)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument('--runs', type=int, default=5, help='fresh processes for each import')
    runs = parser.parse_args().runs
    found = [[measure(name) for name in TARGETS] for _ in range(runs)]
    best = {name: min(results) for name, results in zip(TARGETS, zip(*found, strict=True), strict=True)}
    print(f'{"import":28}{"seconds":>8}{"modules":>9}{"x torch":>9}')
    for name, (seconds, modules) in best.items():
        print(f'{name:28}{seconds:8.2f}{modules:9}{seconds / best["torch"][0]:9.2f}')


if __name__ == '__main__':
    main()
