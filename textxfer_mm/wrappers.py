"""The prefixes that wrappers (DataParallel, DDP, torch.compile) put before every name of a state dict."""

from collections.abc import Mapping
from typing import TypeVar

_PREFIXES = ('module.', '_orig_mod.')

Value = TypeVar('Value')


def strip_wrappers(weights: Mapping[str, Value]) -> tuple[dict[str, Value], str]:
    """Take off the prefixes that every name has, however deep they are nested; return them too."""
    for prefix in _PREFIXES:
        if weights and all(name.startswith(prefix) for name in weights):
            inside, taken = strip_wrappers({name.removeprefix(prefix): value for name, value in weights.items()})
            return inside, prefix + taken
    return dict(weights), ''
