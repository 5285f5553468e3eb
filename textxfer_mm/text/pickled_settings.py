"""Reading past the settings that training scripts pickle beside weights, without importing or running any of them."""

from collections import OrderedDict
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch

#: Packages whose classes hold settings: namespaces, paths, and the config trees of yacs, OmegaConf and Lightning.
_PACKAGES = (
    *('addict', 'argparse', 'easydict', 'fvcore', 'lightning', 'lightning_fabric', 'ml_collections', 'omegaconf'),
    *('pathlib', 'pytorch_lightning', 'types', 'yacs'),
)
#: Names that such trees refer to.
_NAMES = ('collections.defaultdict', 'typing.Any', *(f'builtins.{name}' for name in ('dict', 'list', 'tuple')))
_NAMES += tuple(f'builtins.{name}' for name in ('bool', 'int', 'float', 'str', 'bytes', 'object'))


class _Setting(OrderedDict):
    """Stands in for whatever was pickled; made without running anything, and nobody reads it."""

    def __new__(cls, *args: object, **kwargs: object) -> OrderedDict:
        return OrderedDict()  # the one mapping that a reader of weights fills


def inert_settings(path: Path) -> AbstractContextManager:
    """Let a file be read under ``weights_only=True`` although it holds settings: they come out as empty mappings.

    Of a file that asks for anything else, nothing is let through. Names are compared only, never imported.
    """
    try:
        asked = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # damaged, or not of this format: its reader says so
        return nullcontext()
    if not asked or not all(_is_setting(name) for name in asked):
        return nullcontext()
    return torch.serialization.safe_globals([(_Setting, name) for name in asked])


def _is_setting(name: str) -> bool:
    return name in _NAMES or name.split('.')[0] in _PACKAGES
