"""Parts of a model that stay as they are, whatever they are made of."""

from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from textxfer_mm.errors import UserError, nearest
from textxfer_mm.registry import HOOKS


@HOOKS.register_module()
class FrozenPartsHook(Hook):
    """Keep parts of a model out of training: no gradient, no dropout, batch norms by their stored statistics.

    ``CLIPBackbone(frozen=True)`` does so itself; the backbones of MMAction2 have options for some of it each.

    Args:
        parts: Their names in the model, such as ``'backbone'``.
    """

    def __init__(self, parts: Sequence[str] = ('backbone',)) -> None:
        self.parts = tuple(parts)

    def before_run(self, runner: Runner) -> None:
        """Take the gradient away: before the run tells how many weights it trains.

        DDP has asked for all gradients by then: ``find_unused_parameters=True`` lets several processes do without.

        Raises:
            UserError: The model has no such part.
        """
        for part in self._parts_of(runner):
            part.requires_grad_(False)

    def before_train(self, runner: Runner) -> None:
        """Once more: initialising a model may give it back."""
        self.before_run(runner)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Keep them in evaluation mode, which the loop has switched off."""
        for part in self._parts_of(runner):
            part.eval()

    def _parts_of(self, runner: Runner) -> list[nn.Module]:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        known = dict(model.named_children())
        for name in self.parts:
            if name not in known:
                raise UserError(f'FrozenPartsHook: the model has no part {name!r}.{nearest(name, known)}')
        return [known[name] for name in self.parts]
