"""The frozen beginning of a convolutional tower and the rest behind it, each on its own."""

import copy
from collections.abc import Iterable

import torch
from open_clip.modified_resnet import ModifiedResNet
from torch import Tensor, nn

from textxfer_mm.errors import UserError
from textxfer_mm.vision.towers import conv_stages

#: What lies before the first stage of a ModifiedResNet, and of the EfficientNet family of timm.
_STEM_OF_RESNET = tuple(f'{part}{n}' for n in (1, 2, 3) for part in ('conv', 'bn', 'act')) + ('avgpool',)
_STEM_OF_TIMM = ('conv_stem', 'bn1')


class FrozenStages:
    """Stem and first stages, whose output is the same in every epoch, and what is behind them.

    It shares the modules of the tower, which stays as it is.

    Args:
        tower: A vision tower of open_clip.
        number: How many stages are frozen with the stem.
        places: Names of temporal modules in the tower, such as ``stage4_block0``.
        arch: Name of the tower in error messages.

    Attributes:
        width: Channels C of the output of the last frozen stage.

    Raises:
        UserError: The tower has no stages, none or all of it is frozen, or frames are mixed within.
    """

    def __init__(self, tower: nn.Module, number: int, places: Iterable[str], arch: str) -> None:
        stages = conv_stages(tower)
        if stages is None:
            raise UserError(
                f'{arch} has no stages to keep the output of: that is for ModifiedResNet and the EfficientNet family '
                'of timm.'
            )
        if not 0 <= number < len(stages):
            raise UserError(
                f'The output of frozen stages is kept, and frozen_stages={number} of {arch}: give 0 (the stem alone) '
                f'to {len(stages) - 1}.'
            )
        inside = [place for place in places if int(place.removeprefix('stage').partition('_')[0]) <= number]
        if inside:
            raise UserError(
                f'frozen_stages={number} of {arch}: the temporal module {inside[0]} within is trained, so what these '
                'stages give changes with it. Give fewer frozen stages, or temporal modules in later ones.'
            )
        self._tower, self._stages, self._number = tower, stages, number
        self.width = next(m for m in stages[number].modules() if isinstance(m, nn.Conv2d)).in_channels

    @torch.no_grad()
    def first(self, frames: Tensor) -> Tensor:
        """Maps (N, C, H', W') that the frozen stages make of frames (N, 3, H, W)."""
        tower = self._tower
        x = tower.stem(frames) if isinstance(tower, ModifiedResNet) else tower.trunk.bn1(tower.trunk.conv_stem(frames))
        for stage in self._stages[: self._number]:
            x = stage(x)
        return x

    def rest(self, maps: Tensor) -> Tensor:
        """Features (N, D) that the tower behind makes of maps (N, C, H', W')."""
        passed = range(self._number)
        if isinstance(self._tower, ModifiedResNet):
            return _without(self._tower, (*_STEM_OF_RESNET, *(f'layer{n + 1}' for n in passed)))(maps)
        trunk = _without(self._tower.trunk, _STEM_OF_TIMM)
        trunk._modules['blocks'] = nn.Sequential(*(nn.Identity() for _ in passed), *self._stages[self._number :])
        return _with(self._tower, trunk=trunk)(maps)


def _without(module: nn.Module, names: Iterable[str]) -> nn.Module:
    """A shell of a module that passes over some of its parts."""
    return _with(module, **{name: nn.Identity() for name in names})


def _with(module: nn.Module, **parts: nn.Module) -> nn.Module:
    """A shell of a module with other parts."""
    shell = copy.copy(module)
    shell._modules = {**module._modules, **parts}
    return shell
