"""The statistics of BatchNorm, estimated anew for weights that no training step has seen."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import update_bn

from textxfer_mm.apis.scoring import Progress, build_loader
from textxfer_mm.errors import UserError


def reestimate_batch_norm(
    model: nn.Module, dataloader: Mapping[str, Any], *, seed: int = 0, progress: Progress | None = None
) -> None:
    """Estimate the running means and variances of a recognizer's BatchNorm anew, as means over batches.

    All else is as in testing: no dropout. Layers whose statistics training keeps fixed are estimated as well.

    Args:
        model: A recognizer, which is left in evaluation mode.
        dataloader: Config of a dataloader of training videos; in random order, as the variance within a batch counts.
        seed: Seed of the order.
        progress: Called with the number of finished batches and the number of all.

    Raises:
        UserError: There is no BatchNorm, or there are no videos.
    """
    if not batch_norm_statistics(model):
        raise UserError('The model has no statistics of BatchNorm to estimate (ViTs have none): leave this out.')
    loader = build_loader(dataloader, seed)
    update_bn(_told(loader, progress), _Testing(model).eval())
    model.eval()


def batch_norm_statistics(model: nn.Module) -> list[str]:
    """The names of the running statistics of BatchNorm in the state dict of a model."""
    layers = [(path, module) for path, module in model.named_modules() if isinstance(module, _BatchNorm)]
    return [f'{path}.{name}' for path, module in layers for name, _ in module.named_buffers(recurse=False)]


class _Testing(nn.Module):
    """A recognizer that takes batches of a dataloader, and whose BatchNorm alone can be put into training mode."""

    def __init__(self, recognizer: nn.Module) -> None:
        super().__init__()
        self.recognizer = recognizer

    def train(self, mode: bool = True) -> '_Testing':
        """Switch the layers of BatchNorm, frozen ones too; all else stays in evaluation mode."""
        super().train(False)
        self.training = mode
        for module in self.recognizer.modules():
            if isinstance(module, _BatchNorm):
                module.train(mode)
        return self

    def forward(self, batch: Any) -> None:
        """Test a batch."""
        self.recognizer.test_step(batch)


def _told(loader: Any, progress: Progress | None) -> Iterator[Any]:
    """The batches of a dataloader, with the progress told."""
    for done, batch in enumerate(loader, 1):
        yield batch
        if progress:
            progress(done, len(loader))
