"""Classifiers that know nothing of the classes: what the paper compares text with (Table 1, section 2.2)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.classifiers.sources import NamedClasses
from textxfer_mm.errors import UserError


class _DrawnClassifier:
    """A matrix drawn from a seed: the same in every run and on every rank, whatever the names are."""

    templates: tuple[str, ...] = ()
    #: Tells the heads that nothing is recognised by these rows without training.
    is_drawn = True
    #: Beginning of the encoder id.
    kind: str

    def __init__(self, class_names: str | Path | Sequence[str], embed_dims: int, *, seed: int = 0):
        for value, name, least in ((embed_dims, 'embed_dims', 1), (seed, 'seed', 0)):
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise UserError(f'{type(self).__name__}: {name} is an integer from {least} on, got {value!r}.')
        self.embed_dims = embed_dims
        self.seed = seed
        self._names = NamedClasses(class_names)
        if not isinstance(class_names, str | Path):
            _ = self.class_names  # a list is checked at once

    @property
    def class_names(self) -> tuple[str, ...]:
        """K names in the order of the labels."""
        return self._names.class_names

    @property
    def encoder_id(self) -> str:
        """E.g. ``'random/seed=0'``."""
        return f'{self.kind}/seed={self.seed}'

    def build(self) -> ClassifierBundle:
        """Draw the classifier; the global random state is left alone."""
        rows = torch.from_numpy(self._draw(np.random.default_rng(self.seed)))
        return ClassifierBundle.from_rows(rows, class_names=self.class_names, encoder_id=self.encoder_id)

    def _draw(self, generator: np.random.Generator) -> np.ndarray:
        """Return rows (K, D) of any norm, in float64."""
        raise NotImplementedError


class RandomClassifier(_DrawnClassifier):
    """Rows of N(0, I), brought to unit norm (paper: Eq. 4, 59.30 in Table 1).

    Args:
        class_names: A list, a file, or the name of a dataset (see ``load_class_names``).
        embed_dims: D, the width of the features.
        seed: The seed of the draw.

    Raises:
        UserError: A list of class names is wrong, or an argument is out of range.
    """

    kind = 'random'

    def _draw(self, generator: np.random.Generator) -> np.ndarray:
        return generator.standard_normal((len(self.class_names), self.embed_dims))


class OrthogonalClassifier(_DrawnClassifier):
    """K rows that are orthogonal to each other (paper: Eq. 5, 59.44 in Table 1).

    They are the first K rows of Q in QR = U, where U is a D x D matrix of N(0, 1). The signs are those of the
    decomposition whose R has a positive diagonal: there is one such, and Q is then uniformly distributed.

    Args:
        class_names: A list, a file, or the name of a dataset (see ``load_class_names``).
        embed_dims: D, the width of the features, not less than the number of classes K.
        seed: The seed of the draw.

    Raises:
        UserError: A list of class names is wrong or longer than D, or an argument is out of range. Too long a file is
            reported when the names are first needed.
    """

    kind = 'orthogonal'

    @property
    def class_names(self) -> tuple[str, ...]:
        """K names in the order of the labels."""
        names = super().class_names
        if len(names) > self.embed_dims:
            raise UserError(
                f'OrthogonalClassifier: {len(names)} rows of width {self.embed_dims} cannot all be orthogonal to each '
                'other. Use RandomClassifier, whose rows nearly are, or features at least as wide as there are classes '
                '(a larger encoder, or a `projection` of the head).'
            )
        return names

    def _draw(self, generator: np.random.Generator) -> np.ndarray:
        q, r = np.linalg.qr(generator.standard_normal((self.embed_dims, self.embed_dims)))
        q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)  # column by column
        return q[: len(self.class_names)]


class OneHotClassifier:
    """The K rows of the identity: the classes of a learned linear layer of K outputs that lies before them.

    With ``projection=dict(type='LinearProjection', bias=True)`` and ``normalize=False`` a head of this package is a
    plain linear classifier W x + b (the vision-only baseline, or a linear probe), which knows its class names.

    Args:
        class_names: A list, a file, or the name of a dataset (see ``load_class_names``).
        embed_dims: K, where the names may not be at hand; None counts them.

    Raises:
        UserError: A list of class names is wrong.
    """

    templates: tuple[str, ...] = ()
    is_drawn = True
    encoder_id = 'one-hot'

    def __init__(self, class_names: str | Path | Sequence[str], *, embed_dims: int | None = None):
        self._names = NamedClasses(class_names)
        self._given_dims = embed_dims

    @property
    def class_names(self) -> tuple[str, ...]:
        """K names in the order of the labels."""
        return self._names.class_names

    @property
    def embed_dims(self) -> int:
        """K."""
        return self._given_dims or len(self.class_names)

    def build(self) -> ClassifierBundle:
        """Return the identity (K, K).

        Raises:
            UserError: There are other than ``embed_dims`` names.
        """
        names = self.class_names
        if self.embed_dims != len(names):
            raise UserError(f'OneHotClassifier: {len(names)} class names, but embed_dims={self.embed_dims}.')
        return ClassifierBundle.from_rows(torch.eye(len(names)), class_names=names, encoder_id=self.encoder_id)
