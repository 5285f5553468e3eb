"""Temporal modules put into a tower from outside, so that its code and the names of its weights stay as they are."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from textxfer_mm.errors import UserError, nearest
from textxfer_mm.layers.temporal_conv import T1D
from textxfer_mm.models.backbones.towers import conv_stages


class InsertedT1D(T1D):
    """A :class:`T1D` that mixes the input of a convolution of the tower, as its forward pre-hook."""

    num_frames: int = 1  #: T of the videos now in the tower; the backbone sets it before each forward

    def mix_input(self, conv: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
        """Return the input (N*T, C, H, W) of the convolution with neighbouring frames mixed."""
        return (self(inputs[0], self.num_frames),)


def insert_temporal(tower: nn.Module, cfg: dict[str, Any], arch: str) -> nn.ModuleDict:
    """Insert temporal modules into a tower.

    Args:
        tower: A vision tower of open_clip.
        cfg: ``dict(type='T1D', ...)`` with the arguments of :func:`insert_t1d`.
        arch: What to call the tower in messages.

    Returns:
        The inserted modules by place; they belong to the caller, not to the tower.

    Raises:
        UserError: The type or an argument is unknown, or the tower does not take it.
    """
    options = dict(cfg)
    kind = options.pop('type', None)
    if kind != 'T1D':
        raise UserError(f'temporal: unknown type {kind!r}.{nearest(str(kind), ["T1D"])}')
    known = ('stages', 'init', 'n_div')
    for option in options:
        if option not in known:
            raise UserError(f'temporal T1D: unknown argument {option!r}.{nearest(option, known)}')
    return insert_t1d(tower, arch, **options)


def insert_t1d(
    tower: nn.Module, arch: str, *, stages: Sequence[int] | None = None, init: str = 'identity', n_div: int = 4
) -> nn.ModuleDict:
    """Put a :class:`T1D` before the first convolution of each block, inside the residual branch.

    Args:
        tower: A ModifiedResNet, or a timm CNN with ``.blocks`` (the EfficientNet family).
        arch: What to call the tower in messages.
        stages: Stages that get them, counted from 1 (``layer1`` or ``blocks.0``); None is the later half: 3 and 4 of
            a ResNet (res4 and res5 in the paper), 4 to 7 of an EfficientNet.
        init: ``'identity'`` or ``'shift'``, see :class:`T1D`.
        n_div: See :class:`T1D`.

    Returns:
        The modules by place, such as ``stage3_block0``.

    Raises:
        UserError: The tower is not convolutional, or has no such stage.
    """
    all_stages = conv_stages(tower)
    if all_stages is None:
        raise UserError(
            f'temporal T1D needs a convolutional tower (ModifiedResNet or the EfficientNet family of timm), and {arch} '
            'is none. TokenT1D is for ViTs.'
        )
    numbers = range(len(all_stages) // 2 + 1, len(all_stages) + 1) if stages is None else stages
    inserted = nn.ModuleDict()
    for number in numbers:
        if not 1 <= number <= len(all_stages):
            raise UserError(f'temporal T1D: {arch} has stages 1 to {len(all_stages)}, not {number}.')
        for i, block in enumerate(all_stages[number - 1]):
            conv = next(module for module in block.modules() if isinstance(module, nn.Conv2d))
            module = InsertedT1D(conv.in_channels, init=init, n_div=n_div)
            conv.register_forward_pre_hook(module.mix_input)
            inserted[f'stage{number}_block{i}'] = module
    return inserted
