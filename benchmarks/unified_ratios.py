"""iCLIP's ratio table at small scale: labelled and captioned stills in one model; writes docs/unified_ratios.md.

The small dual tower is trained from scratch on rendered stills, of which a share has captions and the others labels,
from captions alone to labels alone, and with definitions behind the class names or without: zero-shot recognition and
retrieval. The result of a finished run is one line of a file, under a key made of its whole config: finished runs are
skipped, on another machine too.

    python benchmarks/unified_ratios.py [--seeds 0 1 2] [--jobs 2] [--report-only]
"""

import sys

import textxfer_mm.register  # noqa: F401  (repairs and registration, before anything of mmaction)

from harness.command import run_command  # isort: skip
from pages.unified_ratios.page import PAGE  # isort: skip

from textxfer_mm.errors import UserError

if __name__ == '__main__':
    try:
        sys.exit(run_command(PAGE, __file__, __doc__))
    except UserError as error:
        sys.exit(f'error: {error}')
