"""The registries used, one line each on why.

Everything is registered once, in MMEngine's **root** registries: that is the only place from which a bare ``type='X'``
is found under the default scopes ``mmaction``, ``mmpretrain`` and ``mmengine`` alike. Importing this module first
applies the repairs of :mod:`textxfer_mm.compat`, so that every registering module may import mmaction.
"""

from textxfer_mm import compat

compat.apply()

from mmengine.registry import DATASETS  # noqa: E402  (datasets and wrappers)
from mmengine.registry import FUNCTIONS  # noqa: E402  (worker_init_fn)
from mmengine.registry import HOOKS  # noqa: E402  (runner hooks)
from mmengine.registry import METRICS  # noqa: E402  (evaluators)
from mmengine.registry import MODELS  # noqa: E402  (backbones, necks, heads, classifier sources, text encoders)
from mmengine.registry import OPTIM_WRAPPERS  # noqa: E402  (autocast without a GPU)
from mmengine.registry import TRANSFORMS  # noqa: E402  (pipeline steps)

__all__ = ['DATASETS', 'FUNCTIONS', 'HOOKS', 'METRICS', 'MODELS', 'OPTIM_WRAPPERS', 'TRANSFORMS']
