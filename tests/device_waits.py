"""What in a piece of code would make the CPU wait for a GPU, found on a CPU: calls that read values or copy at once."""

import contextlib

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

#: Operators whose result, or its shape, the CPU has to know.
_READING = ('_local_scalar_dense', 'nonzero', 'masked_select', '_unique', 'unique_dim', 'equal', 'repeat_interleave')
#: Functions that give Python or NumPy values, or tensors on the CPU.
_FETCHING = ('item', 'tolist', 'numpy', 'cpu', '__bool__', '__int__', '__float__', '__index__', '__array__')


class _Operators(TorchDispatchMode):
    def __init__(self, found, counted):
        super().__init__()
        self.found, self.counted = found, counted

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.__name__.split('.')[0]
        self.counted.append(name)
        by_mask = name in ('index', 'index_put', 'index_put_') and any(
            index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1]
        )
        if name.startswith(_READING) or by_mask:
            self.found.append(name)
        return func(*args, **(kwargs or {}))


class _Functions(TorchFunctionMode):
    def __init__(self, found):
        super().__init__()
        self.found = found

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(func, '__name__', str(func))
        if name in ('tensor', 'as_tensor') and kwargs.get('device') is not None:
            self.found.append(f'{name} on a device')  # from pageable memory: the copy waits
        elif name in _FETCHING:
            self.found.append(name)
        elif name == '__getitem__' and any(isinstance(index, list) for index in _indices(args[1])):
            self.found.append('list as an index')  # becomes a tensor that is copied to the device
        return func(*args, **kwargs)


def _indices(given):
    return given if isinstance(given, tuple) else (given,)


@contextlib.contextmanager
def waits(counted=None):
    """The list of what would wait, filled while the code within runs; `counted` gets the names of all operators."""
    found = []
    with _Functions(found), _Operators(found, [] if counted is None else counted):
        yield found
