"""Logits of every view of some videos: from them come scores among all class names, or among some."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from textxfer_mm.errors import UserError
from textxfer_mm.evaluation.scores import Scores

#: How views become one score: features before the classifier, or probabilities or logits behind it.
AVERAGES = ('feature', 'prob', 'score')


@dataclass(frozen=True, eq=False)
class ViewLogits:
    """Logits of n videos.

    Where probabilities are averaged over views, scores among some of the names are no part of the scores among all: the
    softmax of each view comes before the mean. So views are kept until it is known which names compete.

    Attributes:
        values: (n, V, K) float32; V is 1 where features were averaged.
        labels: True classes (n,) as indices into ``class_names``, or (n, K) of zeros and ones for several a video.
        class_names: K names.
        average: ``'feature'``, ``'prob'`` or ``'score'``, as ``average_clips`` of the heads.
        multi_class: Whether probabilities are sigmoids.

    Raises:
        UserError: The average is unknown.
    """

    values: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    average: str = 'feature'
    multi_class: bool = False

    def __post_init__(self):
        if self.average not in AVERAGES:
            raise UserError(f'Views are averaged as one of {", ".join(AVERAGES)}, got {self.average!r}.')

    def scores(self) -> Scores:
        """The scores among all names: what the head predicts."""
        return Scores(_averaged(self.values, self).numpy(), self.labels.numpy(), self.class_names)

    def of_classes(self, classes: Sequence[int]) -> Scores:
        """The videos of some classes, with their scores where the names of these alone compete.

        Args:
            classes: Indices into ``class_names``; the labels of the scores are places in them.

        Raises:
            UserError: Videos have several labels.
        """
        require_one_label(self.labels, 'Scores among some of the classes')
        columns = torch.as_tensor(list(classes))
        places = torch.full((len(self.class_names),), -1).scatter(0, columns, torch.arange(len(columns)))
        labels = places[self.labels]  # (n,)
        kept = labels >= 0
        values = _averaged(self.values[kept][..., columns], self)
        return Scores(values.numpy(), labels[kept].numpy(), tuple(self.class_names[index] for index in classes))

    def logits(self) -> Tensor:
        """One row a video (n, K), whose softmax is its probability: mean logits, or logs of mean probabilities."""
        if self.average == 'prob' and self.values.shape[1] > 1:
            return self.values.double().softmax(-1).mean(1).log().clamp(min=-1e4)
        return self.values.double().mean(1)


def _averaged(values: Tensor, of: ViewLogits) -> Tensor:
    """Average (n, V, K) over the views as the heads do."""
    if of.average == 'score':
        return values.mean(1)
    return (values.sigmoid() if of.multi_class else values.softmax(-1)).mean(1)


def require_one_label(labels: Tensor | np.ndarray, what: str) -> None:
    """Refuse labels (n, K) of zeros and ones where one class a video is needed.

    Args:
        labels: (n,), or those to refuse.
        what: What needs them, for the message.

    Raises:
        UserError: They are of several classes a video.
    """
    if labels.ndim != 1:
        raise UserError(f'{what} needs videos with one label each, and these have several: ask for mAP (map).')
