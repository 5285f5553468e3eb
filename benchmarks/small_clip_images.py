"""Tables 10 and 11 of the paper on rendered stills with the small CLIP; writes docs/small_clip_images.md.

Few-shot and zero-shot rows, vision-only, and the literal Eq. 3 are trained under MMPretrain from the main tower of
`benchmarks/small_clip.py`, in whose folder it lies; it is pre-trained if it is not there. Finished runs are skipped.

    python benchmarks/small_clip_images.py [--seeds 0 1 2 3 4] [--jobs 2] [--only text vision] [--report-only]
"""

import sys

import textxfer_mm.register  # noqa: F401  (repairs and registration, before anything of mmaction)

from harness.command import run_command  # isort: skip
from pages.small_clip_images.page import PAGE  # isort: skip

from textxfer_mm.errors import UserError

if __name__ == '__main__':
    try:
        sys.exit(run_command(PAGE, __file__, __doc__))
    except UserError as error:
        sys.exit(f'error: {error}')
