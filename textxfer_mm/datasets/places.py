"""Where files of lists lie: URLs, joined paths, and which of many are missing."""

import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

#: From this many files of one folder on, listing the folder costs less than looking for each.
_WORTH_LISTING = 8
#: File systems on the network answer slowly, but many at a time.
_THREADS = 16
_URL = re.compile(r'^\S+://')


def is_remote(path: str) -> bool:
    """Whether a path is a URL, which is not looked at."""
    return _URL.match(path) is not None


def join(root: str | None, path: str) -> str:
    """Join as MMEngine's datasets do: an absolute path or a URL stands for itself."""
    return path if not root or os.path.isabs(path) or is_remote(path) else os.path.join(root, path)


def missing_files(paths: Sequence[str], *, folders: bool = False) -> list[str]:
    """Return those of many files that are not there, in their order.

    Folders are listed instead of asked for each file: looking for the 240,000 videos of Kinetics one by one takes
    minutes where they lie on the network.

    Args:
        paths: Paths of files; URLs are not looked at.
        folders: Whether folders are looked for instead.
    """
    names: dict[str, set[str]] = {}
    for path in paths:
        if not is_remote(path):
            folder, name = os.path.split(path)
            names.setdefault(folder, set()).add(name)
    with ThreadPoolExecutor(_THREADS) as pool:
        found = pool.map(lambda folder: _absent(folder, names[folder], folders), names)
        absent = {os.path.join(folder, name) for folder, part in zip(names, found, strict=True) for name in part}
    return [path for path in paths if path in absent]


def _absent(folder: str, names: set[str], folders: bool) -> set[str]:
    """The names that are not in a folder."""
    exists = os.path.isdir if folders else os.path.isfile
    listed: set[str] = set()
    if len(names) >= _WORTH_LISTING:
        try:
            with os.scandir(folder or '.') as entries:
                wanted = (entry for entry in entries if entry.name in names)
                listed = {entry.name for entry in wanted if (entry.is_dir() if folders else entry.is_file())}
        except (FileNotFoundError, NotADirectoryError):
            return names
        except OSError:  # one may look for files in a folder that one may not list
            listed = set()
    # Some file systems find a name that they list in another spelling.
    return {name for name in names - listed if not exists(os.path.join(folder, name))}
