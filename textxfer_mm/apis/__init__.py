"""The package as a library. Names are imported at first use: ``textxfer doctor`` must run where torch is missing."""

import ast
from importlib import import_module
from pathlib import Path
from typing import Any

#: The module of each name, as the stub beside this file tells type checkers.
_MODULES = {
    name.name: statement.module
    for statement in ast.parse(Path(__file__).with_suffix('.pyi').read_text(encoding='utf-8')).body
    if isinstance(statement, ast.ImportFrom)
    for name in statement.names
}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f'module {__name__} has no attribute {name}')
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return __all__
