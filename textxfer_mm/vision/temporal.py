"""Temporal modules inserted into a tower from outside, so that its code and the names of its weights do not change."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.logging import print_log
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn

from textxfer_mm.errors import UserError
from textxfer_mm.layers.temporal_conv import T1D
from textxfer_mm.layers.token_t1d import TokenT1D
from textxfer_mm.part_configs import read_part
from textxfer_mm.vision.towers import conv_stages


class Inserted(nn.Module):
    """Mixin of temporal modules that act as forward pre-hooks of modules of the tower.

    Args:
        channels: Number of channels C.
        init: ``'identity'`` or ``'shift'``.
        n_div: See :class:`~textxfer_mm.layers.temporal_conv.T1D`.
    """

    num_frames: int = 1  #: T of the videos now in the tower; the backbone sets it before each forward

    def __init__(self, channels: int, *, init: str, n_div: int) -> None:
        super().__init__(channels, init=init, n_div=n_div)
        #: Whether it mixes frames with its initial weights: until a checkpoint is loaded or a training forward runs.
        self.mixes_untrained = init == 'shift'

    def mix_input(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the inputs of the hooked module, the first with neighbouring frames mixed."""
        return (self(inputs[0], self.num_frames), *inputs[1:])

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args)
        if f'{prefix}weight' in state_dict:
            self.mixes_untrained = False


class InsertedT1D(Inserted, T1D):
    """A :class:`T1D` that mixes the input (N*T, C, H, W) of a convolution of the tower."""


class InsertedTokenT1D(Inserted, TokenT1D):
    """A :class:`TokenT1D` that mixes the class token twice in a block of a ViT."""

    def mix_residual(self, norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Mix the residual stream (N*T, L, C) between attention and MLP, as a pre-hook of the norm of the MLP.

        The norm receives the very tensor to which the block then adds the MLP's output, so that tensor is changed in
        place: a new one would reach the MLP but not the residual stream. It is the fresh sum with the attention's
        output, and no backward pass needs its old values.
        """
        x = inputs[0]
        x[:, 0] = self.mix(x[:, 0], self.num_frames)


def insert_temporal(tower: nn.Module, cfg: dict[str, Any], arch: str) -> nn.ModuleDict:
    """Insert temporal modules into a tower.

    Args:
        tower: A vision tower of open_clip.
        cfg: ``dict(type='T1D', ...)`` with the arguments of :func:`insert_t1d`, or ``dict(type='TokenT1D', ...)`` with
            those of :func:`insert_token_t1d`.
        arch: Name of the tower in error messages.

    Returns:
        The inserted modules by place; they belong to the caller, not to the tower.

    Raises:
        UserError: The type or an argument is unknown, or the tower does not take it.
    """
    insert, options = read_part(cfg, 'temporal module', _KINDS, find=_KINDS.get, given=2)
    return insert(tower, arch, **options)


def insert_t1d(
    tower: nn.Module, arch: str, *, stages: Sequence[int] | None = None, init: str = 'identity', n_div: int = 4
) -> nn.ModuleDict:
    """Put a :class:`T1D` before the first convolution of each block, inside the residual branch.

    Args:
        tower: A ModifiedResNet, or a timm CNN with ``.blocks`` (the EfficientNet family).
        arch: Name of the tower in error messages.
        stages: Stages that get the modules, counted from 1 (``layer1`` or ``blocks.0``); None means the later half: 3
            and 4 of a ResNet (res4 and res5 in the paper), 4 to 7 of an EfficientNet.
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
            'is none.' + (' A ViT takes TokenT1D.' if isinstance(tower, VisionTransformer) else '')
        )
    numbers = range(len(all_stages) // 2 + 1, len(all_stages) + 1) if stages is None else stages
    _check_numbers(numbers, range(1, len(all_stages) + 1), kind='T1D', option='stages', arch=arch)
    inserted = nn.ModuleDict()
    for number in numbers:
        for i, block in enumerate(all_stages[number - 1]):
            conv = next(module for module in block.modules() if isinstance(module, nn.Conv2d))
            module = InsertedT1D(conv.in_channels, init=init, n_div=n_div)
            conv.register_forward_pre_hook(module.mix_input)
            inserted[f'stage{number}_block{i}'] = module
    return inserted


def insert_token_t1d(
    tower: nn.Module, arch: str, *, layers: Sequence[int] | None = None, init: str = 'shift', n_div: int = 4
) -> nn.ModuleDict:
    """Put a :class:`TokenT1D` into the residual stream of blocks, before attention and again before the MLP.

    Both places of a block share one module (the authors' ``control_point``).

    Args:
        tower: A ViT of open_clip.
        arch: Name of the tower in error messages.
        layers: Blocks that get a module, counted from 0 as in ``transformer.resblocks.0``; None means all, as in the
            paper.
        init: ``'shift'`` or ``'identity'``, see :class:`TokenT1D`.
        n_div: See :class:`TokenT1D`.

    Returns:
        The modules by place, such as ``block0``.

    Raises:
        UserError: The tower is not a ViT of open_clip, or has no such layer.
    """
    if not isinstance(tower, VisionTransformer):
        other = 'T1D is for convolutional towers' if conv_stages(tower) else 'timm towers have none here'
        raise UserError(
            f'temporal TokenT1D needs a ViT of open_clip, whose class token it mixes, and {arch} is none; {other}.'
        )
    blocks = tower.transformer.resblocks
    numbers = range(len(blocks)) if layers is None else layers
    _check_numbers(numbers, range(len(blocks)), kind='TokenT1D', option='layers', arch=arch)
    inserted = nn.ModuleDict()
    for number in numbers:
        block = blocks[number]
        module = InsertedTokenT1D(tower.transformer.width, init=init, n_div=n_div)
        block.register_forward_pre_hook(module.mix_input)
        block.ln_2.register_forward_pre_hook(module.mix_residual)
        inserted[f'block{number}'] = module
    return inserted


def warn_of_untrained(temporal: nn.ModuleDict) -> None:
    """Warn once about temporal modules that change the tower's output with nothing but their initial weights."""
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


def _check_numbers(numbers: object, known: range, *, kind: str, option: str, arch: str) -> None:
    """Refuse anything but a list of numbers of existing stages or layers, without duplicates."""
    thing, first, last = option.removesuffix('s'), known[0], known[-1]
    if not isinstance(numbers, Sequence) or isinstance(numbers, str) or any(type(n) is not int for n in numbers):
        raise UserError(
            f'temporal {kind}: {option}={numbers!r} is no list of whole numbers, such as [{max(last - 1, first)}, '
            f'{last}].'
        )
    if not numbers:
        raise UserError(f'temporal {kind}: {option}=[] inserts nothing; leave `temporal` out.')
    if len(set(numbers)) < len(numbers):
        raise UserError(f'temporal {kind}: {option}={list(numbers)} names a {thing} twice.')
    for number in numbers:
        if number not in known:
            raise UserError(f'temporal {kind}: {arch} has {option} {first} to {last}, not {number}.')


_KINDS = {'T1D': insert_t1d, 'TokenT1D': insert_token_t1d}
