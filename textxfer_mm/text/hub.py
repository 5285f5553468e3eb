"""Whether a hub can be reached: asked once and quickly, so that offline users get an answer instead of retries."""

import functools
import os
import socket
from urllib.parse import urlsplit

#: Seconds to wait for the first connection.
CONNECT_TIMEOUT = 3.0


def hub_endpoint() -> str:
    """Return the address of the Hugging Face hub in use (``HF_ENDPOINT`` or the public one)."""
    from huggingface_hub import constants

    return constants.ENDPOINT


def is_reachable(url: str) -> bool:
    """Whether the host of ``url`` accepts connections; ``HF_HUB_OFFLINE=1`` means no, a configured proxy means yes.

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
