"""The learning rates of the tables of several datasets: five of each kind, with a seed that is not reported.

Writes docs/multi_dataset_rates.md. What is chosen from it goes into `Scale` of
benchmarks/pages/multi_dataset/configs.py before `benchmarks/multi_dataset_tables.py` runs a reported seed.

    python benchmarks/multi_dataset_rates.py [--jobs 2] [--report-only]
"""

import sys

import textxfer_mm.register  # noqa: F401  (repairs and registration, before anything of mmaction)

from harness.command import run_command  # isort: skip
from pages.multi_dataset.page import EXPERIMENT  # isort: skip
from pages.multi_dataset.rates import rates_page  # isort: skip

from textxfer_mm.errors import UserError

if __name__ == '__main__':
    try:
        sys.exit(run_command(rates_page(EXPERIMENT), __file__, __doc__))
    except UserError as error:
        sys.exit(f'error: {error}')
