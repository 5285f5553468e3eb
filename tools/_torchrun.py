"""torchrun, ending in one word after Ctrl-C or SIGTERM; started by ``_launch.sh`` with torchrun's arguments."""

import logging
import signal
import sys

from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.run import main

WORDS = {signal.SIGINT: 'interrupted', signal.SIGTERM: 'terminated'}


def run() -> int:
    """Run torchrun; it passes a signal on to its processes and waits for them.

    Returns:
        The exit status: 128 and the number of the signal after one.
    """
    for name in [name for name in logging.root.manager.loggerDict if name.startswith('torch.distributed.elastic')]:
        logging.getLogger(name).setLevel(logging.ERROR)  # its failures stay, its announcements go
    try:
        main()
    except SignalException as stop:
        number = signal.Signals(stop.sigval)
        sys.stderr.write(f'{WORDS.get(number, number.name)}\n')
        return 128 + number
    return 0


if __name__ == '__main__':
    sys.exit(run())
