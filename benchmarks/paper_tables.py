"""The paper's tables at small scale: trains every row on the toy actions and writes docs/small_scale_tables.md.

Tables 1, 2, 3, 4, 6, supp. 2 and Figures 3 and 4 of Text4Vis, with the quick start's model (EfficientNet-lite0 with
ImageNet weights, MiniLM's sentence embeddings) instead of CLIP, and rendered videos instead of Kinetics-400. Each row
is trained with several seeds; a seed changes the videos, the weights and all draws. The result of a finished run is one
line of a file, under a key made of its whole config: finished runs are skipped, on another machine too.

    python benchmarks/paper_tables.py [--seeds 0 1 2] [--jobs 2] [--only text vision] [--report-only]
"""

import sys

import textxfer_mm.register  # noqa: F401  (repairs and registration, before anything of mmaction)

from harness.command import run_command  # isort: skip
from pages.small_scale.page import PAGE  # isort: skip

from textxfer_mm.errors import UserError

if __name__ == '__main__':
    try:
        sys.exit(run_command(PAGE, __file__, __doc__))
    except UserError as error:
        sys.exit(f'error: {error}')
