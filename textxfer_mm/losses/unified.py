"""Classification and contrastive learning as one loss (iCLIP), and UniCL's loss, which it is compared with.

Batches are mixed: of the samples of a step some have a class, some a caption, some both, and the M ranks may hold
different numbers of each, none among them. Each loss is a sum over the samples of all ranks, divided by their number
over all ranks. A rank computes the rows of its own samples, times M: DistributedDataParallel's mean over the ranks is
then the gradient of one process on the joint batch (:mod:`textxfer_mm.losses.gather`). Where nobody has a sample, a
loss is 0, and the gradient of all that it was given too, so that no parameter is left without one.
"""

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional

from textxfer_mm.layers.cosine import cosine_logits
from textxfer_mm.losses.contrastive import sum_of_both_directions
from textxfer_mm.losses.gather import gather_labels, gather_with_grad, world_size


def sum_over_ranks(x: Tensor) -> Tensor:
    """The sum over the ranks of a tensor of one shape, without gradient; a collective call."""
    x = x.detach().clone()
    if world_size() > 1:
        dist.all_reduce(x)
    return x


def classification_loss(
    images: Tensor, rows: Tensor, labels: Tensor, scale: Tensor | float, total: int | None = None
) -> Tensor:
    """L_cls: cross-entropy from image to class text over all K rows (iCLIP, abstract and the direct reading of it).

    L_cls = -1/B sum_i log softmax_j(scale * cos(image_i, row_j))[label_i], without a bias. There is no direction from
    text to image: classes are no batch.

    Args:
        images: (N, D) labelled images or videos of this rank, not normalised; N may be 0.
        rows: (K, D) class rows, equal on all ranks, of any norm.
        labels: (N,) the row of each image.
        scale: The factor ``exp(logit_scale)``, one over the temperature.
        total: B, the labelled samples of all ranks; None counts them, a collective call.

    Returns:
        A scalar in float32: on every rank the loss of the joint batch, with the gradient of this rank's share.
    """
    if total is None:
        total = int(sum_over_ranks(torch.tensor(len(images), device=images.device)))
    logits = cosine_logits(images, rows, scale)  # (N, K)
    return _joint(functional.cross_entropy(logits, labels, reduction='sum'), total)


def contrastive_loss(images: Tensor, texts: Tensor, labels: Tensor, scale: Tensor | float) -> Tensor:
    """Symmetric InfoNCE over the B pairs of all ranks; pairs of one label are positives of each other; collective.

    With labels that number the captions it is L_con of iCLIP, and CLIP's loss where all captions differ. With the class
    as the label of labelled samples (their text is that of the class), and one of its own for each caption, it is the
    bidirectional loss of UniCL (Yang et al., 2022, section 3.2)::

        L_i2t = -1/B sum_i 1/|P(i)| sum_{k in P(i)} log softmax_j(scale * cos(image_i, text_j))[k]

    L_t2i with images and texts exchanged, and the mean of the two; P(i) are the pairs of the label of i.

    Args:
        images: (N, D) of this rank, not normalised; N may be 0.
        texts: (N, D), the text of each image, not normalised.
        labels: (N,) integers.
        scale: The factor ``exp(logit_scale)``.

    Returns:
        A scalar in float32: on every rank the loss of the joint batch, with the gradient of this rank's share. A single
        pair has nothing to be told apart from, so its loss is 0.
    """
    all_labels = gather_labels(labels)  # (B,)
    all_images, all_texts = gather_with_grad(images.float()), gather_with_grad(texts.float())  # (B, D)
    parts = (images, texts, scale, labels, all_images, all_texts, all_labels)
    return _joint(sum_of_both_directions(*parts, form='ce'), len(all_labels))


def _joint(own: Tensor, total: int) -> Tensor:
    """The sum of a rank's own rows -> the loss of the joint batch, whose gradient is that of the rank's own share."""
    share = own * (world_size() / max(total, 1))
    joint = sum_over_ranks(own) / max(total, 1)
    return share + (joint - share).detach()
