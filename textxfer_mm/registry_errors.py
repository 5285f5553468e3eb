"""A misspelled ``type`` in a config, told in one line. Light: MMEngine is imported when there is something to tell."""

import re

from textxfer_mm.errors import UserError, nearest

_MISSING = re.compile(r'(\S+) is not in the (?:[\w-]+::)?([\w -]+) registry')


def explain_missing_type(error: KeyError) -> UserError | None:
    """Return the one-line message for MMEngine's KeyError about an unknown ``type``; None for another KeyError."""
    found = _MISSING.search(str(error.args[0]) if error.args else '')
    if found is None:
        return None
    name, kind = found.groups()
    return UserError(f'type={name!r} of the config is no registered {kind}.{nearest(name, _registered(kind))}')


def _registered(kind: str) -> set[str]:
    """Names in the root registries of one kind and in their children."""
    from mmengine.registry import Registry, root

    registries = [value for value in vars(root).values() if isinstance(value, Registry) and value.name == kind]
    names: set[str] = set()
    while registries:
        registry = registries.pop()
        names |= set(registry.module_dict)
        registries += registry.children.values()
    return names
