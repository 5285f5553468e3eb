"""Repairs of released upstream packages.

:func:`apply` runs the repairs once, before mmaction is imported (``textxfer_mm.registry`` calls it). Each repair is a
small function that states its cause and the upstream thread, and does nothing where the cause is absent, so that a
fixed release needs no change here. Nothing here imports mmaction's models, transformers or torchvision.
"""

import functools
import importlib
import importlib.abc
import importlib.util
import pickle
import re
import sys
import types
import warnings
from collections.abc import Callable
from pathlib import Path

from textxfer_mm.compat_checkpoints import log_as_json, remove_checkpoints_last, write_files_whole
from textxfer_mm.compat_distributed import allow_distributed_cpu, close_process_group
from textxfer_mm.compat_imports import postpone_imports
from textxfer_mm.files import config_dir

__all__ = ['accept_bfloat16_scores', 'apply', 'close_process_group']

_applied = False


def apply() -> None:
    """Apply every repair; the second call does nothing."""
    global _applied
    if _applied:
        return
    postpone_imports()
    hide_mmcv_lite_warning()
    hide_pkg_resources_warning()
    hide_file_client_notice()
    provide_missing_drn()
    disable_broken_multimodal('mmaction')
    disable_broken_multimodal('mmpretrain')
    provide_functional_tensor()
    allow_config_bases()
    allow_mmengine_checkpoints()
    restrict_downloads()
    write_files_whole()
    remove_checkpoints_last()
    log_as_json()
    allow_distributed_cpu()
    _applied = True


def _package_dir(package: str) -> Path | None:
    """Return the folder of an installed top-level package without importing it."""
    spec = importlib.util.find_spec(package)
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


def hide_mmcv_lite_warning() -> None:
    """Silence the warning that mmcv-lite prints at every import.

    Cause: ``mmcv.cnn.bricks.transformer`` looks for a compiled operator that mmcv-lite leaves out on purpose and that
    no recognizer uses (https://github.com/open-mmlab/mmcv/blob/v2.1.0/mmcv/cnn/bricks/transformer.py).
    """
    warnings.filterwarnings('ignore', message='Fail to import ``MultiScaleDeformableAttention``', category=UserWarning)


def hide_pkg_resources_warning() -> None:
    """Silence the warning that ``pkg_resources`` is deprecated, shown twice where a config has a base of MMAction2.

    Cause: ``mmengine.utils.is_installed`` imports and reloads it for every base ``mmaction::...``
    (https://github.com/open-mmlab/mmengine/blob/v0.10.7/mmengine/utils/package_utils.py). Its last releases, those
    below setuptools 82, are among the requirements for this very reason, so that no user can do anything about it.
    """
    warnings.filterwarnings('ignore', message='pkg_resources is deprecated as an API', category=UserWarning)


def hide_file_client_notice() -> None:
    """Silence the notice that ``FileClient`` is deprecated, printed by every run.

    Cause: mmaction2's own decoding steps use it, so that no user can follow the advice
    (https://github.com/open-mmlab/mmaction2/blob/v1.2.0/mmaction/datasets/transforms/loading.py).
    """
    from mmengine.fileio import file_client

    if hasattr(file_client, 'print_log'):
        file_client.print_log = lambda *args, **kwargs: None


def provide_missing_drn() -> None:
    """Let ``import mmaction.models`` succeed although the wheel lacks ``mmaction/models/localizers/drn``.

    Cause: the folder has no ``__init__.py`` upstream, so ``find_packages`` leaves it out of the wheel
    (https://github.com/open-mmlab/mmaction2/issues/2714). The stand-in class says so when it is built.
    """
    name = 'mmaction.models.localizers.drn'
    root = _package_dir('mmaction')
    if root is None or name in sys.modules or (root / 'models' / 'localizers' / 'drn').is_dir():
        return

    class DRN:
        """Stand-in for the localizer that the released wheel of mmaction2 lacks."""

        def __init__(self, *args, **kwargs) -> None:
            raise ImportError(
                'DRN is missing from the released wheel of mmaction2; install mmaction2 from a git checkout to use it '
                '(https://github.com/open-mmlab/mmaction2/issues/2714).'
            )

    package, module = types.ModuleType(name), types.ModuleType(f'{name}.drn')
    package.__path__ = []
    package.drn, module.DRN = module, DRN
    sys.modules.update({name: package, f'{name}.drn': module})


def disable_broken_multimodal(package: str) -> None:
    """Switch the multimodal models of ``package`` to its own placeholders where transformers is too new for them.

    Cause: ``mmaction`` (VindLU) and ``mmpretrain`` (BLIP, RAM, ...) import ``apply_chunking_to_forward`` from
    ``transformers.modeling_utils``, from where newer releases removed it; their gate ``WITH_MULTIMODAL`` only looks at
    a lower version bound, so ``import mmaction.models`` fails as soon as transformers is installed
    (https://github.com/open-mmlab/mmaction2/blob/v1.2.0/mmaction/utils/dependency.py). The name is looked up in the
    source text: importing transformers would cost seconds.
    """
    transformers = _package_dir('transformers')
    if transformers is None or _package_dir(package) is None:
        return
    source = transformers / 'modeling_utils.py'
    if source.is_file() and re.search(r'\bapply_chunking_to_forward\b', source.read_text(encoding='utf-8')):
        return
    importlib.import_module(f'{package}.utils.dependency').WITH_MULTIMODAL = False


class _FunctionalTensorFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds ``torchvision.transforms.functional_tensor`` where no other finder does."""

    name = 'torchvision.transforms.functional_tensor'

    def find_spec(self, fullname, path=None, target=None):
        """Answer for the one removed module."""
        return importlib.util.spec_from_loader(fullname, self) if fullname == self.name else None

    def exec_module(self, module: types.ModuleType) -> None:
        """Fill the module with the functions of its renamed successor."""
        successor = importlib.import_module('torchvision.transforms._functional_tensor')
        vars(module).update({key: value for key, value in vars(successor).items() if not key.startswith('__')})


def provide_functional_tensor() -> None:
    """Answer imports of ``torchvision.transforms.functional_tensor``, which torchvision 0.17 renamed.

    Cause: pytorchvideo 0.1.5 (``PytorchVideoWrapper`` in stock MViT and UniFormerV2 configs) still imports it
    (https://github.com/facebookresearch/pytorchvideo/issues/258). The finder stands last, so the real module wins.
    """
    if not any(isinstance(finder, _FunctionalTensorFinder) for finder in sys.meta_path):
        sys.meta_path.append(_FunctionalTensorFinder())


def allow_config_bases() -> None:
    """Let configs name ours as ``_base_ = ['textxfer_mm::...']``.

    Cause: MMEngine accepts bases only from a hard-coded list of packages
    (https://github.com/open-mmlab/mmengine/blob/v0.10.7/mmengine/config/utils.py), and builds what such a base defines
    in a registry named like the package. Ours registers in the root and mixes stock classes in, so its bases keep the
    ``default_scope`` of the config. It also looks in ``site-packages``, where an editable install has nothing.
    """
    from mmengine.config import Config
    from mmengine.config.utils import MODULE2PACKAGE

    if 'textxfer_mm' in MODULE2PACKAGE:
        return
    MODULE2PACKAGE['textxfer_mm'] = 'textxfer_mm'
    released = Config._get_cfg_path

    @functools.wraps(released)
    def get_cfg_path(cfg_path: str, filename: str) -> tuple[str, str | None]:
        package, found, base = cfg_path.partition('::')
        return (str(config_dir() / base), None) if found and package == 'textxfer_mm' else released(cfg_path, filename)

    Config._get_cfg_path = staticmethod(get_cfg_path)


def _checkpoint_getattr(owner: object, name: str) -> Callable:
    """Stand in for ``builtins.getattr`` in a checkpoint: a handful of harmless methods, nothing else."""
    from mmengine.logging import HistoryBuffer
    from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler

    allowed = {
        HistoryBuffer: ('min', 'max', 'current', 'mean'),
        OneCycleParamScheduler: ('_annealing_cos', '_annealing_linear'),
    }
    if not isinstance(owner, type) or name not in allowed.get(owner, ()):
        raise pickle.UnpicklingError(f'getattr({owner!r}, {name!r}) is not allowed in a checkpoint')
    return getattr(owner, name)


def allow_mmengine_checkpoints() -> None:
    """Allow-list what MMEngine's Runner puts into a checkpoint, so that it loads under ``weights_only=True``.

    Cause: since torch 2.6 ``torch.load`` refuses the message hub's ``HistoryBuffer`` and numpy values
    (https://github.com/open-mmlab/mmengine/issues/1655). ``HistoryBuffer`` pickles its statistics as ``getattr`` calls;
    the real ``getattr`` would let a hostile file walk to any function, so a stand-in answers under its name.
    """
    import numpy as np
    import torch
    from mmengine.logging import HistoryBuffer
    from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler

    try:
        from numpy._core import multiarray
    except ImportError:  # numpy 1
        from numpy.core import multiarray

    allowed = [HistoryBuffer, OneCycleParamScheduler, np.ndarray, np.dtype, (_checkpoint_getattr, 'builtins.getattr')]
    for name in ('_reconstruct', 'scalar'):
        function = getattr(multiarray, name)
        allowed += [(function, f'{module}.multiarray.{name}') for module in ('numpy._core', 'numpy.core')]
    scalars = (np.float64, np.float32, np.float16, np.int64, np.int32, np.uint8, np.bool_)
    allowed += [type(np.dtype(scalar)) for scalar in scalars]
    torch.serialization.add_safe_globals(allowed)


def restrict_downloads() -> None:
    """Load downloaded checkpoints under ``weights_only=True`` as well.

    Cause: MMEngine downloads with ``torch.hub.load_state_dict_from_url``, whose ``weights_only`` is still False by
    default (https://github.com/pytorch/pytorch/blob/main/torch/hub.py), so a URL in ``load_from`` could run any code.
    """
    from mmengine.runner import checkpoint

    if not isinstance(checkpoint.load_url, functools.partial):
        checkpoint.load_url = functools.partial(checkpoint.load_url, weights_only=True)


def accept_bfloat16_scores() -> None:
    """Let stock heads train and test in bfloat16; not part of :func:`apply`, as it needs mmaction's models.

    Cause: ``BaseHead`` hands its scores to NumPy, which has no bfloat16
    (https://github.com/open-mmlab/mmaction2/blob/v1.2.0/mmaction/models/heads/base.py).
    """
    import torch
    from mmaction.models.heads import BaseHead

    for name in ('loss_by_feat', 'predict_by_feat'):
        released = getattr(BaseHead, name)
        if hasattr(released, '__wrapped__'):
            continue

        @functools.wraps(released)
        def by_feat(self, cls_scores, data_samples, _released=released):
            if isinstance(cls_scores, torch.Tensor) and cls_scores.dtype == torch.bfloat16:
                cls_scores = cls_scores.float()
            return _released(self, cls_scores, data_samples)

        setattr(BaseHead, name, by_feat)
