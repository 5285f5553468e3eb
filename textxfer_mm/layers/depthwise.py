"""Depthwise convolutions over small maps, whose weights have a fast gradient on CPUs."""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

#: The most pixels that a map may have for the sums over pairs of pixels to be fast.
_MOST_PIXELS = 81


def with_fast_depthwise(module: nn.Module) -> nn.Module:
    """Give depthwise 2-D convolutions in a module the fast gradient of :class:`DepthwiseConv2d`; weights are kept.

    Args:
        module: Any module; it is changed in place.

    Returns:
        The module.
    """
    for part in module.modules():
        if type(part) is nn.Conv2d and _is_depthwise(part):
            part.__class__ = DepthwiseConv2d
    return module


def _is_depthwise(conv: nn.Conv2d) -> bool:
    """Whether each channel is convolved by itself, in a way that the gradient here knows."""
    return (
        conv.groups == conv.in_channels == conv.out_channels > 1
        and conv.dilation == (1, 1)
        and conv.padding_mode == 'zeros'
        and not isinstance(conv.padding, str)
        and conv.bias is None
    )


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution: what ``nn.Conv2d`` computes, with another way to the gradient of its weights.

    Where a kernel is nearly as large as the map, oneDNN takes 20 to 60 times as long for that gradient as one batched
    product over pairs of pixels does (5 x 5 over 3 x 3 pixels, 1,152 channels, 64 frames: 19 ms against 1 ms, on two
    cores). The product is taken where a CPU trains the weights, maps are small and nothing is cast automatically.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        is_small = input.ndim == 4 and input.shape[-2] * input.shape[-1] <= _MOST_PIXELS
        if (
            is_small
            and self.training
            and weight.requires_grad
            and torch.is_grad_enabled()
            and input.device.type == 'cpu'
            and not torch.is_autocast_enabled('cpu')
            and not torch.compiler.is_compiling()
        ):
            return _Convolution.apply(input, weight, self.stride, self.padding)
        return super()._conv_forward(input, weight, bias)


class _Convolution(torch.autograd.Function):
    """A depthwise convolution with the gradient of its weights as a product."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: tuple[int, int], padding: tuple[int, int]) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.options = stride, padding
        return nn.functional.conv2d(x, weight, None, stride, padding, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        stride, padding = ctx.options
        of_input = of_weight = None
        if ctx.needs_input_grad[0]:
            options = (None, stride, padding, (1, 1), False, (0, 0), len(weight), (True, False, False))
            of_input = torch.ops.aten.convolution_backward(grad, x, weight, *options)[0]
        if ctx.needs_input_grad[1]:
            # how each pixel of the output goes with each of the input, (C, pixels out, pixels in)
            outer, inner = grad.contiguous().flatten(2), x.contiguous().flatten(2)  # else bmm copies channel by channel
            pairs = torch.bmm(outer.permute(1, 2, 0), inner.transpose(0, 1))
            taps = _taps(grad.shape[2:], x.shape[2:], weight.shape[2:], stride, padding).to(pairs.dtype)
            of_weight = (pairs.flatten(1) @ taps).view_as(weight)
        return of_input, of_weight, None, None


@lru_cache(maxsize=64)
def _taps(
    out: tuple[int, int], size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], pad: tuple[int, int]
) -> Tensor:
    """Which tap of a kernel joins a pixel of the output and one of the input: (pairs of pixels, taps), 0 or 1."""
    axes = []
    for axis in range(2):
        tap = torch.arange(size[axis])[None] + pad[axis] - stride[axis] * torch.arange(out[axis])[:, None]
        axes.append((tap[..., None] == torch.arange(kernel[axis])).float())  # (out, in, taps)
    rows, columns = axes
    return torch.einsum('abc,def->adbecf', rows, columns).reshape(-1, kernel[0] * kernel[1])
