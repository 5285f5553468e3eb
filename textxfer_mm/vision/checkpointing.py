"""Activation checkpointing of vision towers."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import torch
from open_clip.modified_resnet import ModifiedResNet
from open_clip.transformer import Transformer, VisionTransformer
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from textxfer_mm.errors import UserError
from textxfer_mm.vision.temporal import Inserted
from textxfer_mm.vision.towers import conv_stages


class CheckpointedSequential(nn.Sequential):
    """``nn.Sequential`` that, in training, keeps only the input of each block and recomputes the rest.

    The running statistics of BatchNorm are updated once a step, not a second time when a block is recomputed.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Run the blocks one after another."""
        return _run_blocks(self, x, self.training)


class CheckpointedTransformer(nn.Module):
    """open_clip's ``Transformer`` with the checkpointing of this module; the blocks keep their names.

    open_clip's own version recomputes blocks without telling temporal modules the T of the forward that is repeated.

    Args:
        transformer: The transformer whose blocks are run.
    """

    def __init__(self, transformer: Transformer) -> None:
        super().__init__()
        self.width, self.resblocks = transformer.width, transformer.resblocks

    def forward(self, x: Tensor) -> Tensor:
        """Run the blocks on tokens (N*T, L, C)."""
        return _run_blocks(self.resblocks, x, self.training)


def enable_checkpointing(tower: nn.Module, arch: str) -> None:
    """Turn on activation checkpointing, block by block; names of weights and gradients stay the same.

    timm's towers outside the EfficientNet family bring their own; if those have BatchNorm (FastViT), its running
    statistics are updated twice a step.

    Args:
        tower: A vision tower of open_clip.
        arch: Name of the tower in error messages.

    Raises:
        UserError: The tower has no activation checkpointing.
    """
    stages = conv_stages(tower)
    if isinstance(tower, VisionTransformer):
        tower.transformer = CheckpointedTransformer(tower.transformer)
    elif stages is None:
        try:
            getattr(tower, 'trunk', tower).set_grad_checkpointing(True)
        except (AssertionError, AttributeError) as error:
            raise UserError(f'with_cp=True: {arch} has no activation checkpointing; leave it off.') from error
    elif isinstance(tower, ModifiedResNet):
        for i, stage in enumerate(stages, start=1):
            setattr(tower, f'layer{i}', CheckpointedSequential(*stage))
    else:
        for i, stage in enumerate(stages):
            tower.trunk.blocks[i] = CheckpointedSequential(*stage)


def _run_blocks(blocks: Iterable[nn.Module], x: Tensor, training: bool) -> Tensor:
    """Run blocks one after another; in training, keep only their inputs."""
    for block in blocks:
        if training and torch.is_grad_enabled():
            x = checkpoint(block, x, use_reentrant=False, context_fn=partial(_contexts, block))
        else:
            x = block(x)
    return x


def _contexts(block: nn.Module) -> tuple[AbstractContextManager, AbstractContextManager]:
    """Return the contexts of a block's forward and of its recomputation."""
    frames = {module: module.num_frames for module in _hooked(block)}
    return nullcontext(), _recomputing(block, frames)


@contextmanager
def _recomputing(block: nn.Module, frames: dict[Inserted, int]) -> Iterator[None]:
    """Freeze running statistics, and give temporal modules the T of the forward that is repeated."""
    norms = [module for module in block.modules() if isinstance(module, _BatchNorm)]
    kept = [(norm, norm.momentum, norm.num_batches_tracked) for norm in norms]
    present = {module: module.num_frames for module in frames}
    try:
        for norm in norms:
            norm.momentum, norm.num_batches_tracked = 0.0, None
        for module, num_frames in frames.items():
            module.num_frames = num_frames
        yield
    finally:
        for norm, momentum, num_batches_tracked in kept:
            norm.momentum, norm.num_batches_tracked = momentum, num_batches_tracked
        for module, num_frames in present.items():
            module.num_frames = num_frames


def _hooked(block: nn.Module) -> list[Inserted]:
    """Return the temporal modules that act inside a block."""
    hooks = (hook for module in block.modules() for hook in module._forward_pre_hooks.values())
    return [hook.__self__ for hook in hooks if isinstance(getattr(hook, '__self__', None), Inserted)]
