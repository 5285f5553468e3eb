"""Temporal modules put into a tower from outside, so that its code and the names of its weights stay as they are."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.logging import print_log
from torch import Tensor, nn

from textxfer_mm.errors import UserError, nearest
from textxfer_mm.layers.temporal_conv import T1D
from textxfer_mm.models.backbones.towers import conv_stages


class InsertedT1D(T1D):
    """A :class:`T1D` that mixes the input of a convolution of the tower, as its forward pre-hook."""

    num_frames: int = 1  #: T of the videos now in the tower; the backbone sets it before each forward

    def __init__(self, channels: int, *, init: str = 'identity', n_div: int = 4) -> None:
        super().__init__(channels, init=init, n_div=n_div)
        #: Whether it mixes frames as it was initialised; no longer once it was loaded or was in a training forward.
        self.mixes_untrained = init == 'shift'

    def mix_input(self, conv: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
        """Return the input (N*T, C, H, W) of the convolution with neighbouring frames mixed."""
        return (self(inputs[0], self.num_frames),)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args)
        if f'{prefix}weight' in state_dict:
            self.mixes_untrained = False


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
            'is none.'
        )
    numbers = range(len(all_stages) // 2 + 1, len(all_stages) + 1) if stages is None else stages
    _check_stages(numbers, len(all_stages), arch)
    inserted = nn.ModuleDict()
    for number in numbers:
        for i, block in enumerate(all_stages[number - 1]):
            conv = next(module for module in block.modules() if isinstance(module, nn.Conv2d))
            module = InsertedT1D(conv.in_channels, init=init, n_div=n_div)
            conv.register_forward_pre_hook(module.mix_input)
            inserted[f'stage{number}_block{i}'] = module
    return inserted


def warn_of_untrained(temporal: nn.ModuleDict) -> None:
    """Say once which temporal modules change the tower's output with nothing but their initial weights."""
    places = [place for place, module in temporal.items() if module.mixes_untrained]
    if places:
        print_log(
            f"CLIPBackbone: the temporal modules {', '.join(places)} are as init='shift' made them, neither trained "
            'here nor part of a checkpoint. They mix frames: this is another network than the one whose weights were '
            'loaded. Load a checkpoint that has them (backbone.temporal.*), or leave `temporal` out.',
            logger='current',
            level=logging.WARNING,
        )
    for place in places:
        temporal[place].mixes_untrained = False


def _check_stages(numbers: object, count: int, arch: str) -> None:
    """Refuse anything but a list of stages that are there, each named once."""
    if not isinstance(numbers, Sequence) or isinstance(numbers, str) or any(type(n) is not int for n in numbers):
        raise UserError(
            f'temporal T1D: stages={numbers!r} is no list of whole numbers, such as [{count - 1}, {count}].'
        )
    if not numbers:
        raise UserError('temporal T1D: stages=[] inserts nothing; leave `temporal` out.')
    if len(set(numbers)) < len(numbers):
        raise UserError(f'temporal T1D: stages={list(numbers)} names a stage twice.')
    for number in numbers:
        if not 1 <= number <= count:
            raise UserError(f'temporal T1D: {arch} has stages 1 to {count}, not {number}.')
