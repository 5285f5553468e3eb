"""A misspelled ``type`` or argument in a config, told in one line. Light: MMEngine is imported only to tell of it."""

import inspect
import re
import traceback
from collections.abc import Callable
from typing import get_origin

from textxfer_mm.errors import UserError, nearest

_MISSING = re.compile(r'(\S+) is not in the (?:[\w-]+::)?([\w -]+) registry')
_REJECTED = re.compile(r"got an unexpected keyword argument '(\w+)'")


def explain_config_error(error: KeyError | TypeError) -> UserError | None:
    """Return the one-line message for MMEngine's error about a ``type`` or arguments; None for other errors."""
    return _unknown_type(error) if isinstance(error, KeyError) else _wrong_arguments(error)


def _unknown_type(error: KeyError) -> UserError | None:
    found = _MISSING.search(str(error.args[0]) if error.args else '')
    if found is None:
        return None
    name, kind = found.groups()
    return UserError(f'type={name!r} of the config is no registered {kind}.{nearest(name, _registered(kind))}')


def _wrong_arguments(error: TypeError) -> UserError | None:
    """Explain a call of the registry's builder with arguments of the config that the class, or its base, rejects."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    while frames and frames[-1].f_code.co_name == '__init__':  # classes hand arguments on to their bases
        frames.pop()
    if not frames or frames[-1].f_code.co_name != 'build_from_cfg':
        return None
    built, given = (frames[-1].f_locals.get(name) for name in ('obj_cls', 'args'))
    rejected = _REJECTED.search(str(error))
    if not inspect.isclass(built) or not isinstance(given, dict):
        return None
    if rejected is None:
        direct = str(error).startswith(f'{built.__qualname__}.__init__() missing')
        return UserError(f'The config lacks something: {_shortened(error)}.') if direct else None
    if rejected[1] not in given:  # nothing that the config says: a bug
        return None
    hint = nearest(rejected[1], _arguments(built))
    return UserError(f'The config has a wrong argument of {built.__name__}: {rejected[1]!r}.{hint}')


def _arguments(built: type) -> set[str]:
    """What a config can give a class and its bases; a function, such as a head's ``make_rows``, is for subclasses."""
    return {
        parameter.name
        for base in built.__mro__
        for parameter in list(inspect.signature(base.__init__).parameters.values())[1:]
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and Callable not in (parameter.annotation, get_origin(parameter.annotation))
    }


def _shortened(error: TypeError) -> str:
    return str(error).replace('.__init__()', '', 1)


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
