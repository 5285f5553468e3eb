"""A misspelled ``type`` or argument in a config, told in one line. Light: MMEngine is imported only to tell of it."""

import ast
import functools
import inspect
import re
import textwrap
import traceback
from collections.abc import Callable, Mapping
from typing import Any, get_origin

from textxfer_mm.errors import UserError, first_line, nearest, shown

_MISSING = re.compile(r'(\S+) is not in the (?:[\w-]+::)?([\w -]+) registry')
_REJECTED = re.compile(r"got an unexpected keyword argument '(\w+)'")
#: Whose classes say of a wrong value whatever they say.
_OTHERS = ('mmengine', 'mmcv', 'mmaction', 'mmpretrain', 'torch')
_UNTYPED = re.compile(r'must contain the key "type", but got (.*)', flags=re.S)


def explain_config_error(error: Exception) -> UserError | None:
    """Return the one-line message for MMEngine's error about a ``type`` or arguments; None for other errors."""
    if isinstance(error, KeyError):
        return _wrong_type(error)
    if isinstance(error, TypeError):
        hidden = error.__context__  # where MMEngine words anew what a hook raised
        return _wrong_arguments(hidden if isinstance(hidden, TypeError) else error)
    return _refusal(error) if isinstance(error, AssertionError | ValueError) else None


def unknown_type(name: object, kind: str) -> UserError:
    """Say that a ``type`` is in no registry of a kind ('model', 'hook', ...), and what may have been meant."""
    return UserError(f'type={shown(name)!r} of the config is no registered {kind}.{nearest(name, _registered(kind))}')


def no_type(place: str, node: object) -> UserError:
    """Say that a part of a config lacks its ``type``."""
    return UserError(f'{place} of the config has no `type`: dict(type=..., ...) is expected, got {shown(node, 80)}.')


def wrong_argument(built: Any, name: str) -> UserError:
    """Say that a class takes no such argument, and what may have been meant."""
    hint = nearest(name, _arguments(built) if inspect.isclass(built) else inspect.signature(built).parameters)
    return UserError(f'The config has a wrong argument of {built.__name__}: {shown(name)!r}.{hint}')


def accepted_arguments(built: Any) -> set[str] | None:
    """The arguments that a class or function takes; None where it takes any, or hands them to nobody knows whom."""
    inits = [built]
    if inspect.isclass(built):
        if type(built).__call__ is not type.__call__:  # makes its instances in its own way, or stands in for another
            return None
        inits = [vars(base)['__init__'] for base in built.__mro__ if '__init__' in vars(base)]
    names: set[str] = set()
    for init in inits:
        if init is object.__init__:  # takes nothing
            return names
        parameters = inspect.signature(init).parameters.values()
        names |= {parameter.name for parameter in parameters}
        free = [parameter.name for parameter in parameters if parameter.kind is parameter.VAR_KEYWORD]
        if not free:
            return names
        receiver = _receiver(init, free[0])
        if receiver is None:
            return None
        if inspect.isfunction(receiver):
            return names | set(_keywords(receiver))
    return None


@functools.cache
def _receiver(init: Callable, name: str) -> Callable | type[super] | None:
    """Who gets ``**name`` of a constructor, and nobody else: its base's (``super``), or a function of its module."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(init)))
    except (OSError, TypeError, SyntaxError):
        return None
    uses = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == name]
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    getting = [call for call in calls if any(k.arg is None and k.value in uses for k in call.keywords)]
    if len(uses) != 1 or not getting:
        return None
    called = ast.unparse(getting[0].func)
    if re.fullmatch(r'super\(.*\)\.__init__', called):
        return super
    found = init.__globals__.get(called)
    return found if inspect.isfunction(found) and _keywords(found) else None


def _keywords(function: Callable) -> list[str]:
    """The arguments that a function takes by name; none where it takes any."""
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return []
    return [parameter.name for parameter in parameters if parameter.kind is not parameter.POSITIONAL_ONLY]


def missing_arguments(built: Any, given: Mapping[str, Any]) -> list[str]:
    """The arguments that a class or function needs and that are not given."""
    parameters = inspect.signature(built).parameters.values()
    free = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in free]
    return [name for name in needed if name not in given]


def _wrong_type(error: KeyError) -> UserError | None:
    message = str(error.args[0]) if error.args else ''
    if found := _MISSING.search(message):
        return unknown_type(*found.groups())
    if found := _UNTYPED.search(message):
        return no_type('A part', found[1].split('\n')[0])
    return None


def _wrong_arguments(error: TypeError) -> UserError | None:
    """Explain a call of the registry's builder with arguments of the config that the class, or its base, rejects."""
    built, given = _built_from(error)
    rejected = _REJECTED.search(str(error))
    if built is None:
        return None
    if rejected is None:
        direct = str(error).startswith(f'{built.__qualname__}.__init__() missing')
        return UserError(f'The config lacks something: {_shortened(error)}.') if direct else None
    if rejected[1] not in given:  # nothing that the config says: a bug
        return None
    return wrong_argument(built, rejected[1])


def _refusal(error: Exception) -> UserError | None:
    """Explain that a class of OpenMMLab's or PyTorch's refuses the values that the config gives; ours say so."""
    built, given = _built_from(error)
    if built is None or built.__module__.split('.')[0] not in _OTHERS:
        return None
    reason = first_line(error).rstrip('.') if str(error) else f'it refuses {shown(given)}'
    return UserError(f'{built.__name__} of the config cannot be built: {reason}.')


def _built_from(error: Exception) -> tuple[type | None, dict[str, Any]]:
    """The class whose constructor raised an error when MMEngine's registry called it, and what the config gave it."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    while frames and frames[-1].f_code.co_name == '__init__':  # classes hand arguments on to their bases
        frames.pop()
    if not frames or frames[-1].f_code.co_name != 'build_from_cfg':
        return None, {}
    built, given = (frames[-1].f_locals.get(name) for name in ('obj_cls', 'args'))
    return (built, given) if inspect.isclass(built) and isinstance(given, dict) else (None, {})


def _arguments(built: type) -> set[str]:
    """What a config can give a class and its bases; a function, such as a head's ``make_rows``, is for subclasses."""
    names: set[str] = set()
    for init in (base.__init__ for base in built.__mro__):
        for parameter in list(inspect.signature(init).parameters.values())[1:]:
            if parameter.kind is parameter.VAR_KEYWORD:
                receiver = _receiver(init, parameter.name)
                names |= set(_keywords(receiver)) if inspect.isfunction(receiver) else set()
            elif parameter.kind is not parameter.VAR_POSITIONAL and Callable not in (
                parameter.annotation,
                get_origin(parameter.annotation),
            ):
                names.add(parameter.name)
    return names


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
