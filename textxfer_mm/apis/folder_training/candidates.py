"""What is tried on the features of a frozen encoder: each is fitted into a head, whose scores are what is compared."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textxfer_mm.apis.folder_training.folds import inner_folds
from textxfer_mm.apis.folder_training.probe import fit_linear_probe
from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.layers.projections import ConSE

#: Factors of cosines, of which prototypes take one.
_SCALES = (5.0, 10.0, 20.0, 50.0, 100.0, 200.0)
#: Numbers of training steps, of which the cosine classifier takes one; 0 leaves it as it began.
_STEPS = (0, 10, 20, 40, 80, 160)
_LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Samples:
    """Features of videos as a head compares them with its rows, before its projection.

    Attributes:
        rows: (n, R, D): R rows a video, one a view (of a 2-D recognizer one a frame).
        labels: (n,).
        groups: (n,).
    """

    rows: Tensor
    labels: Tensor
    groups: np.ndarray

    def at(self, index: np.ndarray) -> 'Samples':
        """Some of them."""
        return Samples(self.rows[index], self.labels[index], self.groups[index])

    @property
    def means(self) -> Tensor:
        """One feature a video (n, D)."""
        return self.rows.mean(1)


@dataclass(frozen=True)
class Fitted:
    """A candidate after it saw training videos.

    Attributes:
        scores: Gives probabilities (n, K) of rows (n, R, D).
        settings: What was chosen for it.
        head: The head that gives them; None where it cannot be handed out as one.
    """

    scores: Callable[[Tensor], Tensor]
    settings: dict[str, Any]
    head: nn.Module | None


class Candidate(Protocol):
    """What is tried.

    Attributes:
        title: What it is called.
        head_cfg: The config of the head that it is handed out as; None where it cannot be.
    """

    title: str
    head_cfg: dict[str, Any] | None

    def fit(self, samples: Samples, seed: int) -> Fitted:
        """Learn from training videos."""


@torch.no_grad()
def head_scores(head: nn.Module, rows: Tensor) -> Tensor:
    """Probabilities (n, K) by a head, as prediction gives them, of rows (n, R, D)."""
    head.eval()
    return head.view_logits(head.embed_views(rows.flatten(0, 1), len(rows)))[:, 0].softmax(-1)


class ZeroShot:
    """The class names alone; nothing is learned."""

    title = 'zero-shot by the class names'

    def __init__(self, head: nn.Module, head_cfg: Mapping[str, Any]) -> None:
        self._head, self.head_cfg = head, dict(head_cfg)

    def fit(self, samples: Samples, seed: int) -> Fitted:
        """Learn nothing."""
        return Fitted(lambda rows: head_scores(self._head, rows), {}, self._head)


class LinearProbe:
    """Multinomial logistic regression on standardised features; C by inner validation."""

    title = 'linear probe'

    def __init__(self, head: nn.Module, head_cfg: Mapping[str, Any]) -> None:
        self._head, self.head_cfg = head, dict(head_cfg)

    def fit(self, samples: Samples, seed: int) -> Fitted:
        """Fit it, and write its weights into the head."""
        probe = fit_linear_probe(samples.means.numpy(), samples.labels.numpy(), samples.groups, seed)
        head = copy.deepcopy(self._head)
        with torch.no_grad():
            head.projection.weight.copy_(torch.from_numpy(probe.weight))
            head.projection.bias.copy_(torch.from_numpy(probe.bias))
        return Fitted(lambda rows: head_scores(head, rows), dict(C=probe.c), head)


class CosineFromText:
    """The text rows, trained on together with the scale and what the projection has to train; steps by validation."""

    title = 'cosine classifier from the text rows'

    def __init__(self, head: nn.Module, head_cfg: Mapping[str, Any]) -> None:
        self._head, self.head_cfg = head, dict(head_cfg)

    def fit(self, samples: Samples, seed: int) -> Fitted:
        """Train it."""
        folds = inner_folds(samples.labels.numpy(), samples.groups, seed)
        steps = 40
        if folds:
            head, known, unknown = copy.deepcopy(self._head), samples.at(folds[0].train), samples.at(folds[0].val)
            losses = {n: nll(head_scores(head, unknown.rows), unknown.labels) for n in self._trained(head, known)}
            steps = min(losses, key=losses.get)
        head = copy.deepcopy(self._head)
        for done in self._trained(head, samples):
            if done == steps:
                break
        return Fitted(lambda rows: head_scores(head, rows), dict(steps=steps), head)

    @staticmethod
    def _trained(head: nn.Module, samples: Samples) -> Any:
        """Yield each number of :data:`_STEPS` when the head has been trained for so many."""
        head.train()
        embed = _embedder(head, samples)
        weights = [weight for weight in head.parameters() if weight.requires_grad]
        optimizer = torch.optim.AdamW(weights, lr=_LEARNING_RATE, weight_decay=0.0)
        for step in range(max(_STEPS) + 1):
            if step in _STEPS:
                yield step
                head.train()
            loss = F.cross_entropy(head.logits(embed(), training=True), samples.labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def _embedder(head: nn.Module, samples: Samples) -> Callable[[], Tensor]:
    """What embeds the videos (n, D) by the weights as they are; what does not change is computed once."""
    if not isinstance(head.projection, ConSE) or head.projection.residual is None or head.dropout.p:
        return lambda: head.embed_videos(samples.rows.flatten(0, 1), len(samples.labels))
    with torch.no_grad():
        combined = head.projection.combine(samples.rows).mean(1)
    return lambda: combined + head.projection.residual(samples.means)


class Prototypes:
    """The mean direction of the features of a class; the scale of the cosines by inner validation."""

    title = 'class prototypes'

    def __init__(self, head: nn.Module, head_cfg: Mapping[str, Any], class_names: tuple[str, ...]) -> None:
        self._head, self.head_cfg, self._names = head, dict(head_cfg), class_names

    def fit(self, samples: Samples, seed: int) -> Fitted:
        """Take the means."""
        losses = dict.fromkeys(_SCALES, 0.0)
        for fold in inner_folds(samples.labels.numpy(), samples.groups, seed):
            known, unknown = samples.at(fold.train), samples.at(fold.val)
            cosines = F.normalize(unknown.means, dim=-1) @ self._rows(known).T
            for scale in _SCALES:
                losses[scale] += nll((scale * cosines).softmax(-1), unknown.labels)
        scale = min(losses, key=losses.get) if any(losses.values()) else 20.0
        head = copy.deepcopy(self._head)
        labels = dict(class_names=self._names, encoder_id='prototypes')
        head.class_rows.replace(ClassifierBundle.from_rows(self._rows(samples), **labels))
        with torch.no_grad():
            head.cosine.logit_scale.fill_(float(np.log(scale)))
        return Fitted(lambda rows: head_scores(head, rows), dict(scale=scale), head)

    def _rows(self, samples: Samples) -> Tensor:
        """Rows of unit norm (K, D)."""
        directions = F.normalize(samples.means, dim=-1)
        means = [directions[samples.labels == label].mean(0) for label in range(len(self._names))]
        return F.normalize(torch.stack(means), dim=-1)


class TipAdapter:
    """A cache of the training features beside the text rows (Zhang et al., 2022, training-free; Eq. 5).

    logits = text logits + alpha * sum over the training videos of a class of exp(-beta (1 - cosine)); alpha and beta by
    inner validation. No head of this package holds such a cache: it is reported, and not handed out.

    Args:
        head: The head of the text rows.
        num_classes: K.
    """

    title = 'Tip-Adapter'
    head_cfg = None
    ALPHAS, BETAS = (0.5, 1.0, 2.0, 5.0, 10.0), (1.0, 2.0, 5.5, 10.0, 20.0)

    def __init__(self, head: nn.Module, num_classes: int) -> None:
        self._head, self._classes = head, num_classes

    def fit(self, samples: Samples, seed: int) -> Fitted:
        """Fill the cache, and choose alpha and beta."""
        grid = {(alpha, beta): 0.0 for alpha in self.ALPHAS for beta in self.BETAS}
        folds = inner_folds(samples.labels.numpy(), samples.groups, seed)
        for fold in folds:
            known, unknown = samples.at(fold.train), samples.at(fold.val)
            for pair in grid:
                grid[pair] += nll(self._scores(known, unknown.rows, *pair), unknown.labels)
        alpha, beta = min(grid, key=grid.get) if folds else (1.0, 5.5)
        return Fitted(lambda rows: self._scores(samples, rows, alpha, beta), dict(alpha=alpha, beta=beta), None)

    def _scores(self, known: Samples, rows: Tensor, alpha: float, beta: float) -> Tensor:
        """Probabilities (n, K)."""
        cosines = F.normalize(rows.mean(1), dim=-1) @ F.normalize(known.means, dim=-1).T  # (n, m)
        votes = (-beta * (1 - cosines)).exp() @ F.one_hot(known.labels, self._classes).float()
        return (head_scores(self._head, rows).clamp(min=1e-12).log() + alpha * votes).softmax(-1)


def nll(scores: Tensor, labels: Tensor) -> float:
    """Mean negative log-likelihood of the true classes."""
    return float(F.nll_loss(scores.clamp(min=1e-12).log(), labels))
