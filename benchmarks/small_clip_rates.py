"""The learning rates of the tables with a small CLIP: four for each row, with a seed that is not reported.

Writes docs/small_clip_rates.md. What was chosen from it stands in benchmarks/pages/small_clip/rates.py, and was
committed before `benchmarks/small_clip.py` ran a reported seed.

    python benchmarks/small_clip_rates.py [--jobs 2] [--report-only]
"""

import sys

import textxfer_mm.register  # noqa: F401  (repairs and registration, before anything of mmaction)

from harness.command import run_command  # isort: skip
from pages.small_clip.page import EXPERIMENT  # isort: skip
from pages.small_clip.rates import rates_page  # isort: skip

from textxfer_mm.errors import UserError

if __name__ == '__main__':
    try:
        sys.exit(run_command(rates_page(EXPERIMENT), __file__, __doc__))
    except UserError as error:
        sys.exit(f'error: {error}')
