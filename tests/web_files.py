"""What the tests of the page share: which uploads there are, and waiting."""

import time


def files_in(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob('*') if path.is_file())


def wait_until(is_true, seconds=10):
    end = time.monotonic() + seconds
    while not is_true() and time.monotonic() < end:
        time.sleep(0.05)
    assert is_true()
