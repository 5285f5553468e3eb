"""The registries used, one line each on why.

Everything is registered once, in MMEngine's **root** registries: that is the only place from which a bare ``type='X'``
is found under the default scopes ``mmaction``, ``mmpretrain`` and ``mmengine`` alike. Importing this module first
applies the repairs of :mod:`textxfer_mm.compat`, so that every registering module may import mmaction.
"""

from textxfer_mm import compat

compat.apply()

from typing import Any  # noqa: E402

from mmengine.registry import (  # noqa: E402
    DATA_SAMPLERS,  # which videos a batch holds
    DATASETS,  # datasets and wrappers
    FUNCTIONS,  # worker_init_fn
    HOOKS,  # runner hooks
    METRICS,  # what validation and testing report
    MODELS,  # backbones, necks, heads, projections, classifier sources, text encoders
    OPTIM_WRAPPERS,  # autocast without a GPU
    TRANSFORMS,  # pipeline steps
    Registry,
)

__all__ = [
    'DATASETS',
    'DATA_SAMPLERS',
    'FUNCTIONS',
    'HOOKS',
    'METRICS',
    'MODELS',
    'OPTIM_WRAPPERS',
    'TRANSFORMS',
    'look_up',
]


def look_up(name: Any, registry: Registry, scope: str | None = None) -> Any:
    """The class of a ``type`` in the scope in which it will be built, None where there is none; a class as it is."""
    if not isinstance(name, str):
        return name
    with registry.switch_scope_and_registry(scope) as found:
        return found.get(name)
