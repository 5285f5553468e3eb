"""The paper's tables with a small CLIP: pre-trains it, trains every row from it and writes docs/small_clip.md.

Five towers are pre-trained on rendered scenes, then every row of Tables 1, 2, 3, 4, 6, supp. 2, Figures 3 and 4 and the
few-shot and zero-shot rows is trained from them on rendered clips, with several seeds. A seed changes the clips, what
is new in the model and all draws. The result of a finished run is one line of a file, under a key made of its whole
config: finished runs are skipped, on another machine too, and what was stopped goes on.

    python benchmarks/small_clip.py [--seeds 0 1 2 3 4] [--jobs 2] [--only text vision] [--report-only]
"""

import sys

import textxfer_mm.register  # noqa: F401  (repairs and registration, before anything of mmaction)

from harness.command import run_command  # isort: skip
from pages.small_clip.page import PAGE  # isort: skip

from textxfer_mm.errors import UserError

if __name__ == '__main__':
    try:
        sys.exit(run_command(PAGE, __file__, __doc__))
    except UserError as error:
        sys.exit(f'error: {error}')
