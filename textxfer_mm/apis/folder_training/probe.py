"""The linear probe: scikit-learn's logistic regression, as weights on features as they are."""

import warnings
from dataclasses import dataclass

import numpy as np

from textxfer_mm.apis.folder_training.folds import inner_folds

#: Inverse strengths of the regularisation, of which inner validation takes one.
CHOICES = tuple(10.0**power for power in range(-5, 2))
#: Without videos to choose by.
DEFAULT_C = 1e-2


@dataclass(frozen=True)
class Probe:
    """A linear classifier W x + b.

    Attributes:
        weight: (K, D) float32.
        bias: (K,) float32.
        c: The inverse strength of its regularisation.
    """

    weight: np.ndarray
    bias: np.ndarray
    c: float


def fit_linear_probe(features: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int) -> Probe:
    """Fit a multinomial logistic regression with an L2 penalty on standardised features.

    C is that of the least loss over inner folds.

    Args:
        features: (n, D).
        labels: (n,), of each class 0 to K - 1 at least one.
        groups: (n,).
        seed: Seed of the inner folds.
    """
    features = features.astype(np.float64)
    losses = dict.fromkeys(CHOICES, 0.0)
    folds = inner_folds(labels, groups, seed)
    for fold in folds:
        for c, weight, bias in _path(features[fold.train], labels[fold.train], CHOICES):
            logits = features[fold.val] @ weight.T + bias
            logits -= logits.max(1, keepdims=True)
            true = logits[np.arange(len(fold.val)), labels[fold.val]]
            losses[c] += float((np.log(np.exp(logits).sum(1)) - true).sum())
    chosen = min(losses, key=losses.get) if folds else DEFAULT_C
    ((c, weight, bias),) = _path(features, labels, (chosen,))
    return Probe(weight.astype(np.float32), bias.astype(np.float32), c)


def _path(features: np.ndarray, labels: np.ndarray, choices: tuple[float, ...]):
    """Yield C, the weights (K, D) and biases (K,) for each of several C, each fit begun where the last one ended.

    The features are turned into the space that they span, which changes nothing of the fit, as the penalty is the same
    from all sides, but leaves n numbers a video where D is larger.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    mean, std = features.mean(0), features.std(0)
    std = np.where(std > 1e-9, std, 1.0)
    standard = (features - mean) / std
    turn = np.linalg.svd(standard, full_matrices=False)[2] if len(features) < features.shape[1] else None
    turned = standard if turn is None else standard @ turn.T
    model = LogisticRegression(max_iter=1000, warm_start=True)
    for c in choices:
        model.C = c
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', ConvergenceWarning)
            model.fit(turned, labels)
        coef, intercept = model.coef_, model.intercept_
        if len(coef) == 1:  # of two classes scikit-learn has one row: its sigmoid is this softmax
            coef, intercept = np.stack([-coef[0], coef[0]]) / 2, np.stack([-intercept[0], intercept[0]]) / 2
        weight = (coef if turn is None else coef @ turn) / std
        yield c, weight, intercept - weight @ mean
