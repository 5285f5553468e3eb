"""What is tried on a folder: each is fitted into parts of a recognizer, whose scores are what is compared."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from torch import Tensor, nn

from textxfer_mm.apis.folder_training.folds import inner_folds
from textxfer_mm.apis.folder_training.probe import fit_linear_probe
from textxfer_mm.classifiers.bundle import ClassifierBundle

#: Factors of cosines, of which prototypes take one.
_SCALES = (5.0, 10.0, 20.0, 50.0, 100.0, 200.0)


@dataclass(frozen=True)
class Samples:
    """Features of videos as a head compares them with its rows, before its projection.

    Attributes:
        rows: (n, R, D): R rows a video, one a view (of a 2-D recognizer one a frame).
        labels: (n,).
        groups: (n,).
        frames: (n, V, D, T), the frames before a neck; None where there are none to mix.
        files: (n,), the videos themselves, for what is trained on them; None for what is not.
    """

    rows: Tensor
    labels: Tensor
    groups: np.ndarray
    frames: Tensor | None = None
    files: np.ndarray | None = None

    def at(self, index: np.ndarray) -> 'Samples':
        """Some of them."""
        columns = (getattr(self, one.name) for one in fields(self))
        return Samples(*(None if column is None else column[index] for column in columns))

    @property
    def means(self) -> Tensor:
        """One feature a video (n, D)."""
        return self.rows.mean(1)


@dataclass(frozen=True)
class Fitted:
    """A candidate after it saw training videos.

    Attributes:
        scores: Gives probabilities (n, K) of samples.
        settings: What was chosen for it.
        parts: The parts of the recognizer that give them, such as ``cls_head``; the others are the encoder's.
        options: What its config says differently now, with dotted keys.
        files: Rows that its config reads from a file: under the key of the file's path.
    """

    scores: Callable[[Samples], Tensor]
    settings: dict[str, Any]
    parts: Mapping[str, nn.Module]
    options: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, ClassifierBundle] = field(default_factory=dict)


class Candidate(Protocol):
    """What is tried.

    Attributes:
        title: What it is called.
        again: What ``tools/train.py`` does with its config.
        recipe: The config that it is handed out with, and trained again by, but for the lists.
    """

    title: str
    again: str
    recipe: Config

    def fit(self, samples: Samples, seed: int) -> Fitted:
        """Learn from training videos."""


@torch.no_grad()
def head_scores(head: nn.Module, rows: Tensor) -> Tensor:
    """Probabilities (n, K) by a head, as prediction gives them, of rows (n, R, D)."""
    head.eval()
    logits = head.view_logits(head.embed_views(rows.flatten(0, 1), len(rows)))  # (n, V, K)
    return logits.mean(1).softmax(-1) if head.average_clips == 'score' else logits.softmax(-1).mean(1)


def fitted_head(
    head: nn.Module,
    settings: dict[str, Any],
    options: Mapping[str, Any] | None = None,
    files: Mapping[str, ClassifierBundle] | None = None,
) -> Fitted:
    """A candidate that is a head on the encoder's features."""
    parts = dict(cls_head=head)
    return Fitted(lambda samples: head_scores(head, samples.rows), settings, parts, options or {}, files or {})


class ZeroShot:
    """The class names alone; nothing is learned."""

    title = 'zero-shot by the class names'
    again = 'Nothing was learned. tools/train.py trains the scale of the cosines alone.'

    def __init__(self, head: nn.Module, recipe: Config) -> None:
        self._head, self.recipe = head, recipe

    def fit(self, samples: Samples, seed: int) -> Fitted:
        """Learn nothing."""
        return fitted_head(self._head, {})


class LinearProbe:
    """Multinomial logistic regression on standardised features; C by inner validation."""

    title = 'linear probe'
    again = 'tools/train.py trains the linear map by gradient, behind the frozen encoder.'

    def __init__(self, head: nn.Module, recipe: Config) -> None:
        self._head, self.recipe = head, recipe

    def fit(self, samples: Samples, seed: int) -> Fitted:
        """Fit it, and write its weights into the head."""
        probe = fit_linear_probe(samples.means.numpy(), samples.labels.numpy(), samples.groups, seed)
        head = copy.deepcopy(self._head)
        with torch.no_grad():
            head.projection.weight.copy_(torch.from_numpy(probe.weight))
            head.projection.bias.copy_(torch.from_numpy(probe.bias))
        return fitted_head(head, dict(C=probe.c))


class Prototypes:
    """The mean direction of the features of a class; the scale of the cosines by inner validation."""

    title = 'class prototypes'
    again = 'The rows are means. tools/train.py trains the scale of the cosines alone.'

    def __init__(self, head: nn.Module, recipe: Config, class_names: tuple[str, ...]) -> None:
        self._head, self.recipe, self._names = head, recipe, class_names

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
        rows = ClassifierBundle.from_rows(self._rows(samples), **labels)
        head.class_rows.replace(rows)
        with torch.no_grad():
            head.cosine.logit_scale.fill_(float(np.log(scale)))
        return fitted_head(head, dict(scale=scale), files={'model.cls_head.classifier.path': rows})

    def _rows(self, samples: Samples) -> Tensor:
        """Rows of unit norm (K, D)."""
        directions = F.normalize(samples.means, dim=-1)
        means = [directions[samples.labels == label].mean(0) for label in range(len(self._names))]
        return F.normalize(torch.stack(means), dim=-1)


def nll(scores: Tensor, labels: Tensor) -> float:
    """Mean negative log-likelihood of the true classes."""
    return float(F.nll_loss(scores.clamp(min=1e-12).log(), labels))
