"""torchrun, ending in one line after Ctrl-C or SIGTERM; started by ``_launch.sh`` with torchrun's arguments."""

import atexit
import gc
import logging
import os
import signal
import sys
import tempfile
from pathlib import Path

from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.run import main

WORDS = {signal.SIGINT: 'interrupted', signal.SIGTERM: 'terminated'}


def run() -> int:
    """Run torchrun; it passes a signal on to its processes and waits for them.

    Returns:
        The exit status: 128 and the number of the signal after one.
    """
    atexit.register(gc.freeze)  # the interpreter's last collection takes seconds
    for name in [name for name in logging.root.manager.loggerDict if name.startswith('torch.distributed.elastic')]:
        logging.getLogger(name).setLevel(logging.ERROR)  # its failures stay, its announcements go
    with tempfile.TemporaryDirectory(prefix='textxfer_mm_') as folder:
        last_words = Path(folder) / 'last_words'  # the first rank knows what was kept
        os.environ['TEXTXFER_LAST_WORDS'] = str(last_words)
        try:
            main()
        except SignalException as stop:
            number = signal.Signals(stop.sigval)
            told = last_words.read_text(encoding='utf-8') if last_words.exists() else WORDS.get(number, number.name)
            sys.stderr.write(f'{told}\n')
            return 128 + number
    return 0


if __name__ == '__main__':
    sys.exit(run())
