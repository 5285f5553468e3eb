"""Class rows of which training sees one template at a time (Text4Vis, Table 4 "multiple" and supp. B.4)."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.classifiers.class_rows import ClassRows
from textxfer_mm.classifiers.sources import ClassifierSource, TextClassifier
from textxfer_mm.classifiers.steps import StepCounter
from textxfer_mm.errors import UserError
from textxfer_mm.text.templates import resolve_templates


class TemplateRows(ClassRows):
    """Frozen rows for testing, and for training one matrix for each of M templates, of which one is drawn.

    One template is drawn at each iteration, for all classes alike (the paper does not say which; all alike keeps the
    rows of a classifier comparable). The draw is a function of seed and iteration alone: it is the same on all ranks
    and after resuming, and moves no random state. Nothing of it is in the checkpoint.

    Args:
        source: The classifier of testing, which gives class names and encoder.
        templates: A template set or several templates, as of ``TextClassifier``.
        seed: The seed of the draws.
        iteration: Tells the iteration of the training that is going on, or None where there is none; the draws are
            counted then, and where it is not given.
        num_classes: See :class:`ClassRows`.
        embed_dims: See :class:`ClassRows`.

    Raises:
        UserError: The classifier is not made of templates, or a template or the seed is wrong.
    """

    def __init__(
        self,
        source: ClassifierSource,
        templates: str | Sequence[str],
        *,
        seed: int = 0,
        iteration: Callable[[], int | None] | None = None,
        num_classes: int | None = None,
        embed_dims: int | None = None,
    ) -> None:
        if not isinstance(source, TextClassifier):
            raise UserError(
                f'train_templates needs a classifier made of templates (TextClassifier), not {type(source).__name__}.'
            )
        if not isinstance(seed, int) or seed < 0:
            raise UserError(f'`template_seed` is an integer that is not negative, got {seed!r}.')
        super().__init__(source, num_classes=num_classes, embed_dims=embed_dims)
        self.train_templates = resolve_templates(templates)
        self.seed = seed
        self._step = StepCounter(iteration)
        self._has_train_rows = False
        rows = torch.zeros(len(self.train_templates), self.num_classes, self.embed_dims)
        self.register_buffer('train_rows', rows, persistent=False)  # (M, K, D)

    def init_weights(self) -> None:
        """Make the rows of testing and of training unless they are there."""
        super().init_weights()
        self._fill_train_rows()

    def training_rows(self, classes: Tensor | None = None) -> Tensor:
        """The rows (n, D) of the template that is drawn for this step; see :meth:`ClassRows.training_rows`."""
        self._fill_train_rows()
        rows = self.train_rows[self.draw()]
        return rows if classes is None else rows[classes.to(rows.device)]

    def draw(self) -> int:
        """The index of the template of this iteration."""
        return int(np.random.default_rng([self.seed, self._step()]).integers(len(self.train_templates)))

    def replace(self, bundle: ClassifierBundle) -> None:
        """Take other rows; see :meth:`ClassRows.replace`. Training with their names embeds these in its templates."""
        before = self.class_names, self.glosses
        super().replace(bundle)
        self._has_train_rows = self._has_train_rows and (self.class_names, self.glosses) == before

    def _fill_train_rows(self) -> None:
        if not self._has_train_rows:
            with torch.inference_mode(False):
                source = self.source.renamed(self._names(), self._glosses())
                self.train_rows = source.embeddings(self.train_templates).to(self.train_rows)
            self._has_train_rows = True
