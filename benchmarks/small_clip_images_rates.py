"""The learning rates of the tables on images: four for each row, with a seed that is not reported.

Writes docs/small_clip_images_rates.md. What is chosen from it goes into benchmarks/pages/small_clip_images/rates.py, as
LR and OWN, before `benchmarks/small_clip_images.py` runs a reported seed.

    python benchmarks/small_clip_images_rates.py [--jobs 2] [--report-only]
"""

import sys

import textxfer_mm.register  # noqa: F401  (repairs and registration, before anything of mmaction)

from harness.command import run_command  # isort: skip
from pages.small_clip_images.page import EXPERIMENT  # isort: skip
from pages.small_clip_images.rates import rates_page  # isort: skip

from textxfer_mm.errors import UserError

if __name__ == '__main__':
    try:
        sys.exit(run_command(rates_page(EXPERIMENT), __file__, __doc__))
    except UserError as error:
        sys.exit(f'error: {error}')
