"""The config inside a checkpoint, read without running it.

MMEngine saves ``Config.pretty_text``, which is Python. A checkpoint may come from anybody, so only what ``pretty_text``
writes is accepted: assignments of literals, lists, tuples, dict displays and ``dict(...)``. Values could do harm as
well, as MMEngine builds any importable object that a ``type`` names: a dotted ``type`` must name a registered class.
"""

import ast
import contextlib
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import Registry, root
from mmengine.utils import get_object_from_string

from textxfer_mm import register_all_modules
from textxfer_mm.errors import UserError

PACKAGES = ('mmaction', 'mmcv', 'mmengine', 'mmpretrain', 'textxfer_mm')
#: Collections of backbones that mmaction itself looks up, by name and nothing else.
BACKBONES = ('timm', 'torchvision')


def parse_saved_config(text: str, source: str | Path) -> Config:
    """Read what ``Config.pretty_text`` wrote.

    Args:
        text: The saved text.
        source: The checkpoint, for messages.

    Raises:
        UserError: If the text is more than values, imports something, or names what is no registered class.
    """
    register_all_modules()  # tells which types are registered classes
    try:
        values = dict(_assignment(statement) for statement in ast.parse(text).body)
        _check_imports(values.get('custom_imports'))
        for node, is_backbone in _dicts(values):
            _check_type(node.get('type'), is_backbone)
        return Config(values)
    except (ValueError, SyntaxError, KeyError, TypeError, RecursionError, MemoryError) as error:
        raise UserError(
            f'The config inside {source} was refused: {error}. A config inside a checkpoint may hold values only, as '
            'it could harm this machine otherwise. Give the config that the model was trained with: --config FILE.'
        ) from error


def _assignment(statement: ast.stmt) -> tuple[str, Any]:
    """``name = value`` as a pair."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        raise ValueError(f'line {statement.lineno} is no assignment')
    (target,) = statement.targets
    if not isinstance(target, ast.Name):
        raise ValueError(f'line {statement.lineno} assigns to something else than a name')
    return target.id, _value(statement.value)


def _value(node: ast.expr) -> Any:
    """The value of an expression without names, operators (but signs) and calls (but ``dict``)."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.UnaryOp(op=ast.UAdd(), operand=ast.Constant(value=int() | float() as value)):
            return value
        case ast.List(elts=items):
            return [_value(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_value(item) for item in items)
        case ast.Dict(keys=keys, values=items) if None not in keys:
            return {_value(key): _value(item) for key, item in zip(keys, items, strict=True)}
        case ast.Call(func=ast.Name(id='dict'), args=[] | [ast.Dict()] as first, keywords=items) if all(
            item.arg for item in items
        ):
            named = {item.arg: _value(item.value) for item in items}
            return {**_value(first[0]), **named} if first else named
    raise ValueError(f'line {node.lineno} holds `{ast.unparse(node)[:60]}`')


def _check_imports(imports: Any) -> None:
    """Only the registration of this package, which has been done already, may be asked for."""
    names = imports.get('imports') if isinstance(imports, dict) else imports
    for name in names if isinstance(names, list | tuple) else [names]:
        if name not in (None, 'textxfer_mm.register'):
            raise ValueError(f'it imports {name!r}')


def _dicts(node: Any, key: str = '') -> Iterator[tuple[dict, bool]]:
    """Yield every dict in a value, with whether it is a ``backbone``."""
    if isinstance(node, dict):
        yield node, key == 'backbone'
        for name, value in node.items():
            yield from _dicts(value, name)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _dicts(value)


def _check_type(name: Any, is_backbone: bool) -> None:
    """Refuse a dotted ``type`` that leads to something else than a registered class."""
    if not isinstance(name, str) or '.' not in name:
        return
    package, _, rest = name.partition('.')
    if is_backbone and package in BACKBONES and rest.isidentifier():
        return
    if package not in PACKAGES:
        raise ValueError(f'type={name!r} is no registered class')
    with contextlib.suppress(ImportError):
        importlib.import_module(f'{package}.registry')
    registries = list(_registries())
    if any(registry.scope == package and rest in registry.module_dict for registry in registries):
        return
    found = get_object_from_string(name)
    if not isinstance(found, type) or not any(found in registry.module_dict.values() for registry in registries):
        raise ValueError(f'type={name!r} is no registered class')


def _registries() -> Iterator[Registry]:
    """Yield all registries, with what their packages register."""
    waiting = [value for value in vars(root).values() if isinstance(value, Registry)]
    while waiting:
        registry = waiting.pop()
        with contextlib.suppress(ImportError):  # some of mmaction's registries name modules that it does not have
            registry.import_from_location()
        yield registry
        waiting += registry.children.values()
