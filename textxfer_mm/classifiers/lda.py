"""The classifier of linear discriminant analysis: rows learned from features of training videos."""

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.classifiers.cache import cached_bundle
from textxfer_mm.classifiers.feature_file import LabelledFeatures, width_of_features
from textxfer_mm.classifiers.sources import NamedClasses
from textxfer_mm.errors import UserError, first_few, nearest
from textxfer_mm.text.digests import file_digest

SOLVERS = ('svd', 'lsqr', 'eigen')

#: Part of every cache key; raised whenever the same inputs would give another matrix.
_RECIPE_VERSION = 1


class LDAClassifier(NamedClasses):
    """The weights of a linear discriminant analysis of video features (paper: section 2.2, 80.77 in Table 1).

    The paper takes the features of 60 training videos a class from the pre-trained encoder; it names no solver. The
    weights are scikit-learn's ``coef_``, brought to unit norm row by row; the intercepts are dropped. With m the mean
    of all features, m_c that of a class and S the covariance within classes, row c is the direction of S^-1 (m_c - m)
    with the solver ``'svd'``, and of S^-1 m_c with ``'lsqr'`` and ``'eigen'``. Of two classes the rows are -w and w.

    The file is read when something of it is first needed. The matrix is computed once on a machine and kept in the
    cache, under a key made of the content of the file and all arguments; of several ranks one computes it.

    Args:
        class_names: A list, a file, or the name of a dataset (see ``load_class_names``).
        features: A safetensors file with ``features`` (n, D) and ``labels`` (n,), as ``tools/extract_features.py``
            writes it.
        embed_dims: D; None asks the file, which then has to be there when a head with a projection is built.
        solver: 'svd', 'lsqr' or 'eigen', see scikit-learn's ``LinearDiscriminantAnalysis``.
        shrinkage: The shrinkage of the covariance: None, 'auto' (Ledoit-Wolf) or 0 to 1; not for 'svd'.

    Raises:
        UserError: A list of class names is wrong, or an argument is out of range.
    """

    templates: tuple[str, ...] = ()

    def __init__(
        self,
        class_names: str | Path | Sequence[str],
        features: str | Path,
        *,
        embed_dims: int | None = None,
        solver: str = 'svd',
        shrinkage: str | float | None = None,
    ):
        super().__init__(class_names)
        if solver not in SOLVERS:
            raise UserError(f'Unknown solver={solver!r} of LDAClassifier.{nearest(solver, SOLVERS)}')
        is_share = isinstance(shrinkage, int | float) and not isinstance(shrinkage, bool) and 0 <= shrinkage <= 1
        if not (shrinkage is None or shrinkage == 'auto' or is_share):
            raise UserError(f"`shrinkage` of LDAClassifier is None, 'auto' or a number from 0 to 1, got {shrinkage!r}.")
        if embed_dims is not None and (not isinstance(embed_dims, int) or embed_dims < 1):
            raise UserError(f'`embed_dims` of LDAClassifier is an integer from 1 on, or None, got {embed_dims!r}.')
        if solver == 'svd' and shrinkage is not None:
            raise UserError("LDAClassifier: the solver 'svd' knows no shrinkage. Use solver='lsqr' or 'eigen' with it.")
        self.features = Path(features).expanduser()
        self.solver = solver
        self.shrinkage = shrinkage
        self._given_dims = embed_dims

    @cached_property
    def embed_dims(self) -> int:
        """D, as given or as the header of the file says."""
        return self._given_dims or width_of_features(self.features)

    @property
    def encoder_id(self) -> str:
        """E.g. ``'lda/k400_60.safetensors/svd'``; the file goes by its name."""
        shrunk = '' if self.shrinkage is None else f'/shrinkage={self.shrinkage}'
        return f'lda/{self.features.name}/{self.solver}{shrunk}'

    def cache_key(self) -> str:
        """Hash of everything the matrix depends on: names, arguments, and the content of the file."""
        width_of_features(self.features)  # a missing file is told with what makes it
        parts = [_RECIPE_VERSION, self.class_names, self.encoder_id, self.embed_dims, file_digest(self.features)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def build(self) -> ClassifierBundle:
        """Compute the classifier, or take it from the cache.

        Raises:
            UserError: The file is missing (``NotAtHandError``), damaged or of another width, its labels do not fit the
                class names, or the analysis gives no direction for a class.
        """
        return cached_bundle(self.cache_key(), self._compute)

    def _compute(self) -> ClassifierBundle:
        data = LabelledFeatures.load(self.features)
        self._check(data)
        try:
            rows = lda_rows(data.features.numpy(), data.labels.numpy(), solver=self.solver, shrinkage=self.shrinkage)
        except (ValueError, np.linalg.LinAlgError) as error:
            raise UserError(
                f'The linear discriminant analysis of {self.features} failed with solver={self.solver!r}: {error}. '
                "Use more videos a class, solver='svd', or solver='lsqr' with shrinkage='auto'."
            ) from error
        self._check_rows(rows)
        rows /= np.abs(rows).max(axis=1, keepdims=True)  # few videos give weights whose squares float32 cannot hold
        return ClassifierBundle.from_rows(
            torch.from_numpy(rows), class_names=self.class_names, encoder_id=self.encoder_id
        )

    def _check(self, data: LabelledFeatures) -> None:
        """Refuse features that no classifier of these classes can come from."""
        samples, width = data.features.shape
        classes = len(self.class_names)
        if width != self.embed_dims:
            raise UserError(
                f'{self.features} has features of width {width}, but LDAClassifier has embed_dims={self.embed_dims}. '
                'Leave embed_dims out, or extract the features with this config.'
            )
        low, high = data.labels.min().item(), data.labels.max().item()
        if low < 0 or high >= classes:
            raise UserError(
                f'{self.features} has labels from {low} to {high}, but the {classes} class names are those of 0 to '
                f'{classes - 1}. Give the class names of the dataset the features are from.'
            )
        if classes < 2 or samples <= classes:
            raise UserError(
                f'{self.features} has {samples} videos of {classes} class(es): linear discriminant analysis needs two '
                'classes or more, and more videos than classes. Extract more a class (--per-class).'
            )
        counts = data.labels.bincount(minlength=classes).tolist()
        empty = [name for name, count in zip(self.class_names, counts, strict=True) if not count]
        if empty:
            shown = first_few(map(repr, empty), 5)
            raise UserError(f'{self.features} has no video of the class(es) {shown}; each class needs some.')
        means = torch.zeros(classes, width, dtype=torch.float64).index_add_(0, data.labels, data.features.double())
        means /= data.labels.bincount()[:, None]
        if torch.equal(means[data.labels], data.features.double()):
            raise UserError(f'{self.features}: the videos of each class have one and the same feature.')

    def _check_rows(self, rows: np.ndarray) -> None:
        """Refuse rows (K, D) without a direction: zero beside the others, or not finite."""
        norms = np.linalg.norm(rows, axis=1)
        usable = np.isfinite(norms) & (norms > 1e-9 * np.max(norms, initial=0.0, where=np.isfinite(norms)))
        if not usable.all():
            wrong = [name for name, good in zip(self.class_names, usable, strict=True) if not good]
            raise UserError(
                f'Linear discriminant analysis of {self.features} gives no direction for {len(wrong)} class(es), such '
                f'as {wrong[0]!r}: its mean is that of all videos. Use other features, or more videos a class.'
            )


def lda_rows(
    features: np.ndarray, labels: np.ndarray, *, solver: str = 'svd', shrinkage: str | float | None = None
) -> np.ndarray:
    """Return the weights of a linear discriminant analysis, without intercepts.

    Args:
        features: (n, D).
        labels: (n,), each of 0..K-1 at least once.
        solver: 'svd', 'lsqr' or 'eigen'.
        shrinkage: None, 'auto' or 0 to 1.

    Returns:
        (K, D) float64, of any norm; of two classes -w and w, as scikit-learn has one row for them.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis  # a second, and only needed here

    analysis = LinearDiscriminantAnalysis(solver=solver, shrinkage=shrinkage)
    weight = analysis.fit(np.asarray(features, dtype=np.float64), labels).coef_
    return np.concatenate([-weight, weight]) if len(weight) == 1 else weight
