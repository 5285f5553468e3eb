"""Mixed precision that needs no GPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmengine.runner.amp import autocast
from torch import nn

from textxfer_mm.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """Run the forward pass in bfloat16 autocast, on the CPU as on a GPU.

    Stock ``AmpOptimWrapper`` asserts a GPU and scales the loss. bfloat16 has the exponent range of float32, so
    gradients do not underflow and need no scaler. Parameters, gradients and the optimizer's state stay in float32.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Enter autocast on top of the base class's gradient-accumulation context."""
        with super().optim_context(model), autocast(dtype=torch.bfloat16):
            yield
