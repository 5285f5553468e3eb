"""The statistics of BatchNorm, estimated anew for weights that no training step has seen."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from mmengine.dataset import pseudo_collate
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import update_bn

from textxfer_mm.apis.encoding import Progress, Videos, decoded, tell_skipped
from textxfer_mm.errors import UserError


def reestimate_batch_norm(
    models: Sequence[nn.Module], dataloader: Mapping[str, Any], *, seed: int = 0, progress: Progress | None = None
) -> None:
    """Estimate the running means and variances of the BatchNorm of recognizers anew, as means over batches.

    All else is as in testing: no dropout. Layers whose statistics training keeps fixed are estimated as well. The
    videos are read once, in random order, as the variance within a batch counts. Those that cannot be decoded are left
    out and named in a warning.

    Args:
        models: Recognizers of one kind, which are left in evaluation mode.
        dataloader: Config of a dataloader of training videos, whose dataset, ``batch_size`` and ``num_workers`` are
            used.
        seed: Seed of the order.
        progress: Called with the number of finished videos and the number of all.

    Raises:
        UserError: There is no BatchNorm, or there are no videos, or none that can be decoded.
    """
    if not all(map(batch_norm_statistics, models)):
        raise UserError('The model has no statistics of BatchNorm to estimate (ViTs have none): leave this out.')
    videos = Videos(dataloader['dataset'])
    order = torch.randperm(len(videos), generator=torch.Generator().manual_seed(seed)).tolist()
    skipped: dict[int, str] = {}
    batches = decoded(videos, order, dataloader, skipped, progress)
    update_bn(_collated(batches), _Testing(models).eval())
    tell_skipped(videos, skipped)
    for model in models:
        model.eval()


def batch_norm_statistics(model: nn.Module) -> list[str]:
    """The names of the running statistics of BatchNorm in the state dict of a model."""
    layers = [(path, module) for path, module in model.named_modules() if isinstance(module, _BatchNorm)]
    return [f'{path}.{name}' for path, module in layers for name, _ in module.named_buffers(recurse=False)]


class _Testing(nn.Module):
    """Recognizers that take the same batches, and whose BatchNorm alone can be put into training mode."""

    def __init__(self, recognizers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.recognizers = nn.ModuleList(recognizers)

    def train(self, mode: bool = True) -> '_Testing':
        """Switch the layers of BatchNorm, frozen ones too; all else stays in evaluation mode."""
        super().train(False)
        self.training = mode
        for module in self.recognizers.modules():
            if isinstance(module, _BatchNorm):
                module.train(mode)
        return self

    def forward(self, batch: Sequence[Any]) -> None:
        """Test a batch."""
        for recognizer in self.recognizers:
            recognizer.test_step(pseudo_collate(batch))


def _collated(batches: Iterator[dict[int, Any]]) -> Iterator[list[list[Any]]]:
    """The data of each batch; ``update_bn`` takes the first of a list for the input."""
    for good in batches:
        yield [list(good.values())]
