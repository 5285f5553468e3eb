"""Which process this is of how many, for work that is shared without the processes ever meeting."""

import os
from collections.abc import Mapping

from textxfer_mm.errors import UserError, nearest, shown

#: The variables in which each launcher says the number of this process and of all.
_VARIABLES = dict(
    pytorch=('RANK', 'WORLD_SIZE'),
    slurm=('SLURM_PROCID', 'SLURM_NTASKS'),
    mpi=('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE'),
)
#: Where they say which process of this machine it is.
_LOCAL = ('LOCAL_RANK', 'SLURM_LOCALID', 'OMPI_COMM_WORLD_LOCAL_RANK')
LAUNCHERS = ('none', *_VARIABLES)


def rank_and_size(launcher: str) -> tuple[int, int]:
    """The number of this process and how many there are, as the launcher says; jobs of a Slurm array count on.

    Args:
        launcher: One of :data:`LAUNCHERS`; with ``'none'`` a process that torchrun started knows it all the same.

    Raises:
        UserError: There is no such launcher, or it did not start this process.
    """
    if launcher not in LAUNCHERS:
        raise UserError(f'--launcher is {", ".join(LAUNCHERS)}, got {launcher!r}.{nearest(launcher, LAUNCHERS)}')
    if launcher == 'none':
        launcher = 'pytorch' if 'TORCHELASTIC_RUN_ID' in os.environ else 'none'
    if launcher == 'none':
        return 0, 1
    rank, size = (os.environ.get(name) for name in _VARIABLES[launcher])
    in_array = launcher == 'slurm' and 'SLURM_ARRAY_TASK_ID' in os.environ
    if in_array:  # a job without srun is one task
        rank, size = (rank, size) if 'SLURM_STEP_ID' in os.environ else ('0', '1')
    if rank is None or size is None:
        raise UserError(
            f'--launcher {launcher}: this process was not started by it ({" and ".join(_VARIABLES[launcher])} are not '
            'set).'
        )
    return count_array(int(rank), int(size)) if in_array else (int(rank), int(size))


def count_array(rank: int, size: int, environment: Mapping[str, str] = os.environ) -> tuple[int, int]:
    """The number of a process among those of all jobs of a Slurm array, and how many these are.

    Args:
        rank: The number of the process in its job.
        size: The processes of a job.
        environment: Has Slurm's variables of an array.

    Raises:
        UserError: One of them is no number.
    """
    first, step = (
        number_of(environment, name) if name in environment else default
        for name, default in (('SLURM_ARRAY_TASK_MIN', 0), ('SLURM_ARRAY_TASK_STEP', 1))
    )
    job = (number_of(environment, 'SLURM_ARRAY_TASK_ID') - first) // max(step, 1)
    return job * size + rank, number_of(environment, 'SLURM_ARRAY_TASK_COUNT') * size


def number_of(environment: Mapping[str, str], name: str) -> int:
    """A whole number among the environment variables.

    Raises:
        UserError: It is something else.
    """
    value = environment[name]
    if not value.lstrip('-').isdecimal():
        raise UserError(f'The environment variable {name} is {shown(value)!r}, no whole number: unset it.')
    return int(value)


def local_device(size: int) -> str | None:
    """The GPU of this process among several on one machine; None where there is one process, or no GPU."""
    import torch

    local = next((os.environ[name] for name in _LOCAL if name in os.environ), None)
    if size == 1 or local is None or not torch.cuda.is_available():
        return None
    return f'cuda:{int(local) % torch.cuda.device_count()}'
