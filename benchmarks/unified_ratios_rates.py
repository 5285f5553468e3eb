"""The learning rates of iCLIP's ratio table at small scale: three of each kind, with seeds that are not reported.

Writes docs/unified_ratios_rates.md. What is chosen from it goes into `Scale` of
benchmarks/pages/unified_ratios/configs.py before `benchmarks/unified_ratios.py` runs a reported seed.

    python benchmarks/unified_ratios_rates.py [--jobs 2] [--report-only]
"""

import sys

import textxfer_mm.register  # noqa: F401  (repairs and registration, before anything of mmaction)

from harness.command import run_command  # isort: skip
from pages.unified_ratios.page import EXPERIMENT  # isort: skip
from pages.unified_ratios.rates import rates_page  # isort: skip

from textxfer_mm.errors import UserError

if __name__ == '__main__':
    try:
        sys.exit(run_command(rates_page(EXPERIMENT), __file__, __doc__))
    except UserError as error:
        sys.exit(f'error: {error}')
