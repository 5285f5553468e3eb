"""Labels of training samples, for heads that need one class a sample."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from textxfer_mm.errors import UserError


def class_labels(samples: Sequence[Any], num_classes: int, head: str) -> Tensor:
    """One class a sample, (N,) on the CPU; N may be 0.

    Args:
        samples: N data samples with ``gt_label``.
        num_classes: K.
        head: Who needs them, for the message.

    Raises:
        UserError: Labels are not one class a sample, or out of range.
    """
    labels = [sample.gt_label for sample in samples]
    for label in labels:
        if label.numel() != 1 or label.is_floating_point():
            raise UserError(
                f'{head} needs one class a video, got a label of shape {tuple(label.shape)} and type {label.dtype}. '
                'Leave out Mixup and CutMix; for several labels a video use TextEmbeddingHead(multi_class=True).'
            )
    labels = torch.cat([torch.empty(0, dtype=torch.long), *(label.reshape(1).cpu() for label in labels)])
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if len(wrong):
        raise UserError(
            f'Label {wrong[0]} is out of range: the head has {num_classes} classes, 0 to {num_classes - 1}.'
        )
    return labels
