"""Classification over several datasets, each with its own labels: targets, masks and the loss of a batch (MultiTrain).

What a sample is to the datasets is a mapping from their names to :class:`Target`, of one dataset for a plain sample and
of one or two for a blended one. :func:`dense_targets` makes tensors of it.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from textxfer_mm.errors import UserError, nearest
from textxfer_mm.layers.upload import upload

LOSSES = ('ce', 'bce')
POLICIES = ('drop', 'both', 'same')


class Target(NamedTuple):
    """What a sample is to one dataset.

    Attributes:
        weight: m, how much its loss counts.
        labels: Pairs of a label and its share of the target: a class index, or (K,) of a share for each class.
    """

    weight: float
    labels: tuple[tuple[int | Tensor, float], ...]


class DenseTargets(NamedTuple):
    """What a batch is to one dataset.

    Attributes:
        scores: t, (B, K) in float32; zero rows for samples that are nothing to it.
        weights: m, (B,) in float32; zero for these.
    """

    scores: Tensor
    weights: Tensor


class DatasetLoss(NamedTuple):
    """The loss of a dataset: of its own head, and of the other heads by their projections; scalars."""

    head: Tensor
    projection: Tensor


def plain_target(dataset: str, label: int | Tensor) -> dict[str, Target]:
    """The target of a sample that is not blended."""
    return {dataset: Target(1.0, ((label, 1.0),))}


def blended_target(
    own: tuple[str, int | Tensor], partner: tuple[str, int | Tensor], share: float, policy: str
) -> dict[str, Target]:
    """The target of a sample of which a share is its own and the rest its partner's.

    Args:
        own: The sample's dataset and label.
        partner: Those of its partner.
        share: lambda, from 0 to 1.
        policy: What becomes of a partner from another dataset: ``'drop'`` loses its part (released code: the target
            sums to lambda), ``'both'`` lets the sample count for both datasets, lambda and 1 - lambda, each with a
            whole target, and ``'same'`` does not blend the two. Partners of one dataset always are.

    Returns:
        The targets by dataset.

    Raises:
        UserError: The policy is unknown.
    """
    require_policy(policy)
    (name, label), (other, other_label) = own, partner
    if name == other:
        return {name: Target(1.0, ((label, share), (other_label, 1 - share)))}
    if policy == 'drop':
        return {name: Target(1.0, ((label, share),))}
    if policy == 'both':
        return {name: Target(share, ((label, 1.0),)), other: Target(1 - share, ((other_label, 1.0),))}
    return plain_target(name, label)


def require_policy(policy: str) -> None:
    """Check the name of a policy.

    Raises:
        UserError: It is unknown.
    """
    if policy not in POLICIES:
        raise UserError(f'Unknown policy {policy!r} for blending across datasets.{nearest(str(policy), POLICIES)}')


def dense_targets(
    samples: Sequence[Mapping[str, Target]],
    num_classes: Mapping[str, int],
    device: torch.device | str | None = None,
) -> dict[str, DenseTargets]:
    """Targets and weights of a batch of B samples for each dataset.

    They are made on the CPU, as columns of one tensor, which is copied to the device at once and without waiting;
    labels of several classes, which are tensors on the device already, are added there.

    Args:
        samples: What each sample is to the datasets.
        num_classes: K of each dataset.
        device: Where the tensors are wanted.
    """
    sizes = list(num_classes.values())
    starts = dict(zip(num_classes, accumulate(sizes, initial=0), strict=False))
    made = torch.zeros(len(samples), sum(sizes) + len(sizes))  # (B, U + D): the scores, and then the weights
    places, values, several = [], [], {}
    for at, name in enumerate(num_classes, start=sum(sizes)):
        for row, target in ((row, sample[name]) for row, sample in enumerate(samples) if name in sample):
            places.append((row, at))
            values.append(target.weight)
            for label, share in target.labels:
                if isinstance(label, Tensor):
                    several.setdefault(name, []).append((row, share, label))
                else:
                    places.append((row, starts[name] + label))
                    values.append(share)
    if places:
        made.index_put_(torch.tensor(places).unbind(1), torch.tensor(values), accumulate=True)
    parts = upload(made, device).split([*sizes, *[1] * len(sizes)], dim=1)
    scores, weights = (dict(zip(num_classes, part, strict=True)) for part in (parts[: len(sizes)], parts[len(sizes) :]))
    for name, entries in several.items():
        _add_rows(scores[name], *zip(*entries, strict=True))
    return {name: DenseTargets(scores[name], weights[name][:, 0]) for name in num_classes}


def _add_rows(scores: Tensor, rows: Sequence[int], shares: Sequence[float], labels: Sequence[Tensor]) -> None:
    """Add shares of labels (K,) to rows of scores (B, K)."""
    added = torch.stack([label.to(scores) for label in labels])  # (n, K)
    shares = upload(torch.tensor(shares), scores.device)
    scores.index_add_(0, upload(torch.tensor(rows), scores.device), shares[:, None] * added)


def smooth_targets(scores: Tensor, eps: float, num_classes: int | None = None) -> Tensor:
    """Label smoothing (1 - eps) * t + eps / num_classes.

    Args:
        scores: t, (B, K).
        eps: The mass that is taken away and spread.
        num_classes: Over how many classes; None takes K, so that a target of sum 1 keeps it. The released code takes
            that of the largest dataset, 700, for all: its targets sum to 0.957 for 400 classes.
    """
    return (1 - eps) * scores + eps / (num_classes or scores.shape[1]) if eps else scores


def soft_cross_entropy(logits: Tensor, scores: Tensor) -> Tensor:
    """-sum_k t_k log softmax(logits)_k of each row, in float32 at least: (..., B, K) and (B, K) -> (..., B)."""
    return -(scores * _precise(logits).log_softmax(-1)).sum(-1)


def soft_binary_cross_entropy(logits: Tensor, scores: Tensor) -> Tensor:
    """Binary cross-entropy of each row, its mean over K, in float32 at least: (..., B, K), (B, K) -> (..., B)."""
    logits = _precise(logits)
    scores = scores.to(logits).expand_as(logits)
    return F.binary_cross_entropy_with_logits(logits, scores, reduction='none').mean(-1)


def _precise(logits: Tensor) -> Tensor:
    """Logits in float32, or in float64 where they are."""
    return logits if logits.dtype == torch.float64 else logits.float()


def row_losses(kind: str, logits: Tensor, scores: Tensor) -> Tensor:
    """The loss of each row (..., B) of logits (..., B, K) for targets (B, K), by its kind ``'ce'`` or ``'bce'``."""
    return (soft_binary_cross_entropy if kind == 'bce' else soft_cross_entropy)(logits, scores)


def cross_dataset_losses(
    logits: Mapping[str, Tensor],
    targets: Mapping[str, DenseTargets],
    projected: Mapping[tuple[str, str], Tensor] | None = None,
    *,
    kinds: Mapping[str, str] | None = None,
    weights: Mapping[str, float] | None = None,
    projection_weight: float = 1.0,
    count: Tensor | float | None = None,
) -> dict[str, DatasetLoss]:
    """The losses of the datasets in a batch of B samples, of which all heads see all (MultiTrain).

    L_d = w_d / count * sum_i m_d[i] (l(h_d(i), t_d[i]) + projection_weight * mean_{a != d} l(z_{a->d}(i), t_d[i])).
    What a sample is not to a dataset has the weight zero, so that every parameter gets a gradient in every step.

    Args:
        logits: h_d, (B, K_d) by dataset.
        targets: t_d and m_d by dataset.
        projected: z_{a->d}, (B, K_d) by the pair (a, d); none for a single dataset, whose projection loss is 0.
        kinds: ``'ce'`` or ``'bce'`` by dataset; None takes ``'ce'`` for all.
        weights: w_d by dataset; None takes 1 for all.
        projection_weight: lambda_p.
        count: What the sums are divided by; None takes B. Under DistributedDataParallel it is the number of samples of
            all M ranks, divided by M: the averaged gradients are then those of one process on the joint batch.

    Returns:
        The losses by dataset; their sum is that of the batch.
    """
    losses = {}
    for name, (scores, mask) in targets.items():
        kind = (kinds or {}).get(name, 'ce')
        factor = (weights or {}).get(name, 1.0) / (len(mask) if count is None else count)
        sources = [z for (_, target), z in (projected or {}).items() if target == name]
        both = torch.stack([logits[name], *sources])  # (1 + A, B, K): in one go, as small kernels cost their launch
        own, others = (mask * row_losses(kind, both, scores)).split([1, len(sources)])
        losses[name] = DatasetLoss(factor * own.sum(), factor * projection_weight * others.sum() / max(len(sources), 1))
    return losses
