"""Parts given as ``dict(type=..., **arguments)``: the one place where mistakes in such a config are told."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from textxfer_mm.errors import UserError, nearest
from textxfer_mm.registry import MODELS


def read_part(
    cfg: Any, kind: str, known: Iterable[str], find: Callable[[str], Callable | None] = MODELS.get, given: int = 0
) -> tuple[Callable, dict[str, Any]]:
    """Check a config of the form ``dict(type=..., **arguments)``: the one place where such mistakes are told.

    Args:
        cfg: The config.
        kind: What it is, for messages.
        known: Names to suggest.
        find: Looks a ``type`` up; by default in the registry.
        given: How many arguments the caller gives itself, first and by position.

    Returns:
        What ``type`` stands for, and the arguments.

    Raises:
        UserError: It is no dict, the type is unknown, or arguments are unknown or missing.
    """
    if not isinstance(cfg, Mapping):
        raise UserError(f'A {kind} is given as dict(type=..., ...), got {cfg!r}.{nearest("", known)}')
    args = {key: value for key, value in cfg.items() if key != '_scope_'}  # MMEngine marks inherited configs with it
    name = args.pop('type', None)
    if name is None:
        raise UserError(f'A {kind} needs a `type`, got {dict(cfg)}.{nearest("", known)}')
    part = find(name) if isinstance(name, str) else name
    if not callable(part):
        raise UserError(f'Unknown {kind} {name!r}.{nearest(name, known)}')
    parameters = dict(list(inspect.signature(part).parameters.items())[given:])
    for key in args:
        if key not in parameters and not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            raise UserError(f'The {kind} {name!r} takes no argument {key!r}.{nearest(key, parameters)}')
    missing = [
        key
        for key, p in parameters.items()
        if p.default is p.empty and key not in args and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    ]
    if missing:
        raise UserError(f'The {kind} {name!r} needs the argument(s) {", ".join(missing)}.')
    return part, args


def build_part(cfg: Any, kind: str, known: Iterable[str]) -> Any:
    """Instantiate a registered class from its config; the mistakes that :func:`read_part` tells of are errors."""
    part, args = read_part(cfg, kind, known)
    return part(**args)
