"""What the heads of several datasets share: the losses of a batch, what training logs, and prediction by dataset."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from textxfer_mm.errors import UserError
from textxfer_mm.layers.upload import upload
from textxfer_mm.losses.accuracy import topk_accuracies
from textxfer_mm.losses.cross_dataset import DenseTargets, Target, cross_dataset_losses, dense_targets, smooth_targets
from textxfer_mm.losses.gather import gather_with_grad, rows_a_rank
from textxfer_mm.losses.informative import informative_loss
from textxfer_mm.models.dataset_samples import DatasetSpec, dataset_of

AVERAGE_CLIPS = ('prob', 'score', None)


def batch_targets(
    targets: Sequence[Mapping[str, Target]],
    num_classes: Mapping[str, int],
    device: torch.device,
    *,
    label_smooth_eps: float = 0.0,
    label_smooth_classes: int | None = None,
) -> dict[str, DenseTargets]:
    """Targets (B, K) and weights (B,) of each dataset, smoothed.

    Args:
        targets: What each of B samples is to the datasets.
        num_classes: K of each dataset.
        device: Where they are wanted.
        label_smooth_eps: See :func:`~textxfer_mm.losses.cross_dataset.smooth_targets`.
        label_smooth_classes: Likewise.
    """
    dense = dense_targets(targets, num_classes, device)
    return {
        name: each._replace(scores=smooth_targets(each.scores, label_smooth_eps, label_smooth_classes))
        for name, each in dense.items()
    }


def classification_losses(
    logits: Mapping[str, Tensor],
    targets: Mapping[str, DenseTargets],
    datasets: Mapping[str, DatasetSpec],
    projected: Mapping[tuple[str, str], Tensor] | None = None,
    projection_weight: float = 1.0,
) -> dict[str, Tensor]:
    """``loss_cls`` and, where there are projections, ``loss_projection`` of a rank's samples.

    Sums over the samples are divided by B / M, the number of samples of all M ranks over that of the ranks: gradients
    are those of one process on the joint batch, whatever the ranks hold.
    """
    first = next(iter(logits.values()))
    losses = cross_dataset_losses(
        logits,
        targets,
        projected,
        kinds={name: spec.loss for name, spec in datasets.items()},
        weights={name: spec.weight for name, spec in datasets.items()},
        projection_weight=projection_weight,
        count=rows_a_rank(len(first), first.device),
    ).values()
    found = dict(loss_cls=sum(loss.head for loss in losses))
    if projected:
        found['loss_projection'] = sum(loss.projection for loss in losses)
    return found


def expanded_loss(features: Tensor, expander: nn.Module, variance_weight: float, covariance_weight: float) -> Tensor:
    """The informative loss of the features (N, D) of all ranks, as an expander gives them; all in float32.

    Only what the expander gives is gathered, with its gradient: each rank has the loss of the joint batch.
    """
    with torch.autocast(features.device.type, enabled=False):
        expanded = gather_with_grad(expander(features.float()))  # (B, D)
        return informative_loss(expanded, variance_weight, covariance_weight)


def accuracies(
    logits: Mapping[str, Tensor], targets: Sequence[Mapping[str, Target]], topk: Sequence[int]
) -> dict[str, Tensor]:
    """Top-k accuracies of the samples of each dataset with one whole label, as training logs them.

    Returns:
        By names like ``'k400/top1_acc'``; nothing of datasets that are absent from this batch, or blended.
    """
    plain = {name: labels for name in logits if (labels := _whole_labels(name, targets))}
    if not plain:
        return {}
    device = next(iter(logits.values())).device
    pairs = upload(torch.tensor([pair for labels in plain.values() for pair in labels]), device)
    found = {}
    for name, part in zip(plain, pairs.split([len(labels) for labels in plain.values()]), strict=True):
        rows, wanted = part.unbind(1)
        shares = topk_accuracies(logits[name].detach()[rows], wanted, topk)
        found |= {f'{_log_name(name)}/{key}': share for key, share in shares.items()}
    return found


def _whole_labels(dataset: str, targets: Sequence[Mapping[str, Target]]) -> list[tuple[int, int]]:
    """Rows and labels of the samples of a dataset that have one, all of it."""
    own = [(row, target[dataset]) for row, target in enumerate(targets) if dataset in target]
    plain = [(row, *one.labels[0]) for row, one in own if len(one.labels) == 1 and one.weight == 1]
    return [(row, label) for row, label, share in plain if share == 1 and isinstance(label, int)]


def _log_name(dataset: str) -> str:
    """A dataset's name in a log; MMEngine adds up whatever has 'loss' in its name."""
    return dataset.replace('loss', 'l0ss')


def choose_datasets(data_samples: Sequence[Any], datasets: Mapping[str, Any], predict_as: str | None) -> list[str]:
    """By the head of which dataset each sample is predicted.

    Args:
        data_samples: The samples.
        datasets: The datasets there are, by name.
        predict_as: That of all samples; None takes the sample's own, or the only one there is.

    Raises:
        UserError: A sample does not say, or names an unknown one.
    """
    if predict_as is not None or len(datasets) == 1:
        return [predict_as or next(iter(datasets))] * len(data_samples)
    names = ' or '.join(map(repr, datasets))
    hint = f' Or say by the head of which dataset all are predicted: predict_as={names}, --dataset of the commands.'
    return [dataset_of(sample, datasets, hint) for sample in data_samples]


def predict_samples(
    views: Tensor, data_samples: Sequence[Any], chosen: Sequence[str], scores_of: Callable[[str, Tensor], Tensor]
) -> Sequence[Any]:
    """Write scores and labels into samples, each by the head of its dataset.

    Args:
        views: (N, V, D), the features of the views of N videos.
        data_samples: N samples.
        chosen: The dataset of each.
        scores_of: The scores (n, K), or (n, V, K), of the views (n, V, D) of videos of a dataset.
    """
    for name in dict.fromkeys(chosen):
        rows = [row for row, dataset in enumerate(chosen) if dataset == name]
        for row, score in zip(rows, scores_of(name, views[rows]), strict=True):
            data_samples[row].set_pred_score(score)
            data_samples[row].set_pred_label(score.argmax(dim=-1, keepdim=True).detach())
    return data_samples


def average_views(logits: Tensor, average_clips: str | None, several_labels: bool) -> Tensor:
    """Average logits (n, V, K) over the views: probabilities, logits, or not at all."""
    if average_clips is None:
        return logits
    if average_clips == 'score':
        return logits.mean(1)
    return (logits.sigmoid() if several_labels else logits.softmax(-1)).mean(1)


def require_predict_as(predict_as: str | None, datasets: Mapping[str, Any], head: str) -> None:
    """Check the option ``predict_as``.

    Raises:
        UserError: It names none of the datasets.
    """
    if predict_as is not None and predict_as not in datasets:
        raise UserError(f'{head}: predict_as={predict_as!r} is none of its datasets: {", ".join(map(repr, datasets))}.')
