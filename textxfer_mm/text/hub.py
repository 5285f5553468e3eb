"""Whether a hub can be reached: asked once and quickly, so that offline users get an answer instead of retries."""

import functools
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from textxfer_mm.errors import NotAtHandError, UserError

#: Seconds to wait for the first connection.
CONNECT_TIMEOUT = 3.0


def hub_endpoint() -> str:
    """Return the address of the Hugging Face hub in use (``HF_ENDPOINT`` or the public one)."""
    from huggingface_hub import constants

    return constants.ENDPOINT


def is_reachable(url: str) -> bool:
    """Return whether the host of ``url`` accepts connections.

    With ``HF_HUB_OFFLINE=1`` the answer is no, with a configured proxy it is yes.

    The answer is kept for the life of the process.
    """
    if os.environ.get('HF_HUB_OFFLINE', '').upper() in ('1', 'ON', 'YES', 'TRUE'):
        return False
    if any(os.environ.get(name) for name in ('HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy')):
        return True
    parts = urlsplit(url)
    return _connects(parts.hostname or '', parts.port or (80 if parts.scheme == 'http' else 443))


@functools.cache
def _connects(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=CONNECT_TIMEOUT):
            return True
    except OSError:
        return False


def local_snapshot(
    repository: str, *, files: Sequence[str], one_of: Sequence[str], purpose: str, instead: str = 'a local folder'
) -> Path:
    """Return the folder of a model repository on this machine, after downloading whatever is missing.

    Args:
        repository: The name on the Hugging Face hub, ``'owner/name'``.
        files: Patterns of the files to fetch, as far as they exist.
        one_of: Patterns of alternatives in order of preference, e.g. ``('*.safetensors', '*.bin')``: only the first
            that exists is fetched, and a folder without any (other files were fetched before) does not count.
        purpose: What the files are for, as the start of the error message.
        instead: What the user can give instead, for the error message.

    Raises:
        UserError: The files are not on this machine and cannot be downloaded.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(repository, local_files_only=True))
        if any(_holds(folder, pattern) for pattern in one_of):
            return folder
    except HFValidationError as error:
        raise NotAtHandError(
            f'{purpose}: {repository!r} is neither a folder nor a name on the hub ({error}). Give {instead} instead.'
        ) from error
    except LocalEntryNotFoundError:
        pass
    if not is_reachable(hub_endpoint()):
        raise NotAtHandError(
            f'{purpose}: {repository!r} is no folder, it is not in the cache of the hub on this machine, and '
            f'{hub_endpoint()} cannot be reached. Give {instead} instead.'
        )
    try:
        for pattern in one_of:
            folder = Path(snapshot_download(repository, allow_patterns=[*files, pattern]))
            if _holds(folder, pattern):
                return folder
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise NotAtHandError(
            f'{purpose}: {repository!r} could not be downloaded ({error}). Give {instead} instead.'
        ) from error
    raise UserError(f'{purpose}: {repository!r} has no file {" or ".join(one_of)}.')


def _holds(folder: Path, pattern: str) -> bool:
    return any(True for _ in folder.rglob(pattern))
