"""Many classes: which of them a training step encodes, and on which rank.

Encoding some at a time with recomputation (``chunk_size`` of :class:`~textxfer_mm.classifiers.tower_rows.TowerRows`)
and sharding over the ranks are exact: loss and gradient are those of all classes at once in one process. Fewer classes
a step, and rows that are some steps old, are approximations.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from textxfer_mm.classifiers.class_rows import ClassRows
from textxfer_mm.classifiers.steps import StepCounter
from textxfer_mm.errors import UserError
from textxfer_mm.losses.gather import gather_labels, gather_with_grad, world_size


class TrainingClasses:
    """The class rows that a training step compares with.

    Args:
        shard: Whether each of M ranks encodes K/M of the classes, which are then gathered with gradient. Exact, but for
            towers with dropout, whose draws differ.
        num_negatives: Approximate: compare with the classes of the batch (of all ranks) and so many others, which are
            drawn anew at each step (the sampled softmax of Partial FC, An et al., 2022). The loss is smaller than that
            among all K, and its gradient another; with K others or more both are exact. None takes all.
        refresh_interval: Approximate: keep the rows of all K classes for so many steps, and encode at each step only
            the classes of the batch, with gradient, beside ``num_negatives`` others (then none unless given). The loss
            is among all K; what the text tower would learn from the kept rows is left out. Nothing of it is in a
            checkpoint: a resumed run encodes all K at its first step. None encodes all that are compared with.
        seed: The seed of the draws; they are functions of it and of the step, and equal on all ranks.
        iteration: Tells the iteration of the training that is going on, see
            :class:`~textxfer_mm.classifiers.steps.StepCounter`.

    Raises:
        UserError: An option is out of range.
    """

    def __init__(
        self,
        *,
        shard: bool = False,
        num_negatives: int | None = None,
        refresh_interval: int | None = None,
        seed: int = 0,
        iteration: Callable[[], int | None] | None = None,
    ) -> None:
        for name, value, least in (('num_negatives', num_negatives, 0), ('refresh_interval', refresh_interval, 1)):
            if value is not None and not _is_whole(value, least):
                raise UserError(f'{name} is None or a whole number of at least {least}, got {value!r}.')
        if not _is_whole(seed, 0):
            raise UserError(f'negative_seed is a whole number of at least 0, got {seed!r}.')
        self.shard, self.num_negatives, self.refresh_interval, self.seed = shard, num_negatives, refresh_interval, seed
        self._step = StepCounter(iteration)
        self._kept: Tensor | None = None
        self._kept_names: tuple[str, ...] = ()
        self._kept_at = 0

    @property
    def are_all(self) -> bool:
        """Whether a step compares with all K classes."""
        return self.num_negatives is None or self.refresh_interval is not None

    def rows(self, class_rows: ClassRows, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The rows of this step; a collective call where rows are sharded or not all encoded.

        Args:
            class_rows: The rows of all K classes.
            labels: (N,) classes of the labelled samples of this rank; N may be 0.

        Returns:
            The rows (n, D) with gradient, equal on all ranks, of any norm; and the place (N,) of each label in them.
        """
        if self.num_negatives is None and self.refresh_interval is None:
            return self._encode(class_rows, None), labels
        step = self._step()
        classes = self._drawn(gather_labels(labels).unique().cpu(), class_rows.num_classes, step).to(labels.device)
        fresh = self._encode(class_rows, classes)  # (n, D)
        if self.refresh_interval is None:
            return fresh, torch.searchsorted(classes, labels)
        return self._keep(class_rows, step, fresh.device).index_copy(0, classes, fresh.float()), labels

    def _drawn(self, own: Tensor, num_classes: int, step: int) -> Tensor:
        """The classes of the batch (n,) and others that are drawn, in ascending order."""
        others = np.setdiff1d(np.arange(num_classes), own.numpy(), assume_unique=True)
        wanted = min(self.num_negatives or 0, len(others))
        drawn = np.random.default_rng([self.seed, step]).choice(others, wanted, replace=False)
        return torch.cat([own, torch.from_numpy(drawn)]).sort().values

    def _keep(self, class_rows: ClassRows, step: int, device: torch.device) -> Tensor:
        """The kept rows (K, D) on a device, made again when they are too old or of other classes."""
        is_old = not 0 <= step - self._kept_at < self.refresh_interval
        if self._kept is None or is_old or self._kept_names != class_rows.class_names:
            with torch.no_grad():
                self._kept = self._encode(class_rows, None).float()
            self._kept_names, self._kept_at = class_rows.class_names, step
        self._kept = self._kept.to(device)  # the model may have moved
        return self._kept

    def _encode(self, class_rows: ClassRows, classes: Tensor | None) -> Tensor:
        """Rows of some classes (n,), or of all, with gradient where it is wanted; each rank makes its share."""
        ranks = world_size()
        if not self.shard or ranks == 1:
            return class_rows.training_rows(classes)
        class_rows.fill()
        classes = torch.arange(class_rows.num_classes) if classes is None else classes
        own = class_rows.training_rows(classes[dist.get_rank() :: ranks]).float()
        rows = gather_with_grad(own) if torch.is_grad_enabled() else gather_labels(own)  # those of one rank together
        order = torch.cat([torch.arange(len(classes))[rank::ranks] for rank in range(ranks)])
        return rows[order.argsort().to(rows.device)]


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
