"""MultiTrain at small scale: several small datasets in one model; writes docs/multi_dataset_tables.md.

Three datasets of rendered toy actions, which name in part the same motions with other words and look different, and a
fourth one of real clips where its folder is given: each alone, all of them in one model with and without MultiTrain's
two losses, in one text space, and zero-shot. The result of a finished run is one line of a file, under a key made of
its whole config: finished runs are skipped, on another machine too.

    python benchmarks/multi_dataset_tables.py [--clips FOLDER] [--seeds 0 1 2 3 4] [--jobs 2] [--report-only]
"""

import sys

import textxfer_mm.register  # noqa: F401  (repairs and registration, before anything of mmaction)

from harness.command import run_command  # isort: skip
from pages.multi_dataset.page import PAGE  # isort: skip

from textxfer_mm.errors import UserError

if __name__ == '__main__':
    try:
        sys.exit(run_command(PAGE, __file__, __doc__))
    except UserError as error:
        sys.exit(f'error: {error}')
