"""The repairs of :mod:`textxfer_mm.compat` that concern process groups."""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator


def allow_distributed_cpu() -> None:
    """Let ``--launcher pytorch|slurm|mpi`` work on machines without a GPU.

    Cause: MMEngine selects a CUDA device unconditionally when it starts the process group, and hands DDP the local
    rank as a device id even for modules on the CPU
    (https://github.com/open-mmlab/mmengine/blob/v0.10.7/mmengine/dist/utils.py, ``runner/runner.py: wrap_model``).
    Where an accelerator is present both run as released.
    """
    import mmengine.dist.utils as dist_utils
    from mmengine.model.wrappers import MMDistributedDataParallel

    if getattr(MMDistributedDataParallel.__init__, '__wrapped__', None) is not None:
        return
    for name in ('_init_dist_pytorch', '_init_dist_mpi', '_init_dist_slurm'):
        setattr(dist_utils, name, _starting_without_gpu(getattr(dist_utils, name)))
    released = MMDistributedDataParallel.__init__

    @functools.wraps(released)
    def init(self, module, *args, **kwargs):
        if all(parameter.device.type == 'cpu' for parameter in module.parameters()):
            kwargs['device_ids'] = None
        released(self, module, *args, **kwargs)

    MMDistributedDataParallel.__init__ = init


def _starting_without_gpu(start: Callable) -> Callable:
    """Wrap one of MMEngine's process-group starters: no CUDA call and gloo for nccl where there is no accelerator."""
    from mmengine.device import get_device

    @functools.wraps(start)
    def starter(backend: str, *args, **kwargs) -> None:
        if get_device() not in ('cpu', 'mps'):
            return start(backend, *args, **kwargs)
        with _no_cuda_device_selection():
            return start('gloo' if backend == 'nccl' else backend, *args, **kwargs)

    return starter


@contextlib.contextmanager
def _no_cuda_device_selection() -> Iterator[None]:
    """Make ``torch.cuda.set_device`` do nothing for the while."""
    import torch

    released = torch.cuda.set_device
    torch.cuda.set_device = lambda device: None
    try:
        yield
    finally:
        torch.cuda.set_device = released


def close_process_group(*, wait: bool = True) -> None:
    """Leave the process group cleanly; without one, do nothing.

    Cause: a gloo process that exits with a live group now and then dies with ``terminate called without an active
    exception``, and the launcher reports failure although all work was done (seen in 7 of 41 runs, in none of 39 that
    ended so; https://github.com/open-mmlab/mmaction2/blob/v1.2.0/tools/test.py ends without).

    Args:
        wait: Meet the other ranks first; pass False when leaving because of an error that they may not share.
    """
    dist = sys.modules.get('torch.distributed')  # whoever has not imported it has no group
    if dist is None or not (dist.is_available() and dist.is_initialized()):
        return
    if wait:
        dist.barrier()
    dist.destroy_process_group()
