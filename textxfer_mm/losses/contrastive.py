"""Matching of videos and texts in a batch in which several pairs may be of one class (Text4Vis, Table 6, supp. B.3)."""

import torch
from torch import Tensor

from textxfer_mm.errors import UserError, nearest
from textxfer_mm.layers.cosine import cosine_logits
from textxfer_mm.losses.gather import gather_labels, gather_with_grad, world_size

FORMS = ('kl', 'ce')
#: What the equality of two labels is multiplied by before the softmax that makes it a target (released code).
SHARPNESS = 10.0
#: What labels can number: how pairs of one label are spoken of, and the plural.
_KINDS = {'class': ('are of class {}', 'classes'), 'caption': ('have one and the same caption', 'captions')}


def same_class(labels_rows: Tensor, labels_cols: Tensor) -> Tensor:
    """Return (R, C) in float32: 1 where row and column have the same label, else 0."""
    return (labels_rows[:, None] == labels_cols[None, :]).float()


def matching_targets(labels_rows: Tensor, labels_cols: Tensor, sharpness: float = SHARPNESS) -> Tensor:
    """Soft targets: row i is softmax(sharpness * [label_i == label_j]) over the columns j.

    The positives of a row share the mass equally. With the released code's sharpness of 10 a lone positive among 128
    columns gets 0.9943, and each negative 4.5e-5.

    Args:
        labels_rows: (R,) labels.
        labels_cols: (C,) labels.
        sharpness: The larger, the less is left to the negatives.

    Returns:
        (R, C) in float32; the rows sum to 1.
    """
    return (sharpness * same_class(labels_rows, labels_cols)).softmax(dim=1)


def kl_matching_loss(logits: Tensor, targets: Tensor, reduction: str = 'mean') -> Tensor:
    """Mean over the rows i of KL(targets_i || softmax(logits_i)): what the released code calls NCELoss.

    Args:
        logits: (R, C).
        targets: (R, C), rows that sum to 1.
        reduction: ``'mean'`` over the rows, or their ``'sum'``.

    Returns:
        A scalar; 0 where the softmax of the logits is the target.
    """
    log_probabilities = logits.log_softmax(dim=1)
    return _reduced((torch.xlogy(targets, targets) - targets * log_probabilities).sum(1), reduction)


def ce_matching_loss(logits: Tensor, positives: Tensor, reduction: str = 'mean') -> Tensor:
    """Cross-entropy with targets that are uniform over the positives of a row; with one each it is InfoNCE.

    It is :func:`kl_matching_loss` in the limit of infinitely sharp targets, up to their constant entropy.

    Args:
        logits: (R, C).
        positives: (R, C) of 0 and 1, at least one 1 a row.
        reduction: ``'mean'`` over the rows, or their ``'sum'``.

    Returns:
        A scalar.
    """
    targets = positives / positives.sum(dim=1, keepdim=True)
    return _reduced(-(targets * logits.log_softmax(dim=1)).sum(1), reduction)


def _reduced(rows: Tensor, reduction: str) -> Tensor:
    return rows.sum() if reduction == 'sum' else rows.mean()


def matching_loss(
    logits: Tensor, labels_rows: Tensor, labels_cols: Tensor, form: str = 'kl', reduction: str = 'mean'
) -> Tensor:
    """One direction of the loss, from logits (R, C) and the labels of rows (R,) and columns (C,).

    Raises:
        UserError: The form is unknown.
    """
    if form not in FORMS:
        raise UserError(f'Unknown form {form!r} of the matching loss.{nearest(str(form), FORMS)}')
    if form == 'kl':
        return kl_matching_loss(logits, matching_targets(labels_rows, labels_cols), reduction)
    return ce_matching_loss(logits, same_class(labels_rows, labels_cols), reduction)


def symmetric_matching_loss(
    videos: Tensor,
    texts: Tensor,
    scale: Tensor | float,
    labels: Tensor,
    *,
    gather: bool = True,
    form: str = 'kl',
    local: bool = True,
    kind: str = 'class',
) -> Tensor:
    """(L_video-to-text + L_text-to-video) / 2 of the B pairs of M ranks, of which this rank has N.

    Logits are cosines times the scale, in float32. The gradients are those of one process on the joint batch after
    DistributedDataParallel's averaging, in both forms of the gather (:mod:`textxfer_mm.losses.gather`), also where the
    ranks hold different numbers of pairs.

    Args:
        videos: (N, D), not normalised.
        texts: (N, D), the text of each video, not normalised.
        scale: The factor ``exp(logit_scale)``.
        labels: (N,) class of each pair; pairs of one class are positives of each other.
        gather: Whether to match against the pairs of all ranks; ``False`` matches within the N of this rank.
        form: ``'kl'`` or ``'ce'``, see :func:`kl_matching_loss` and :func:`ce_matching_loss`.
        local: With ``gather``, the loss of this rank's rows only, (N, B) logits in each direction (Algorithm 1): 1/M
            of the memory, and the mean over the ranks is the loss of the joint batch. ``False`` computes that loss, of
            (B, B) logits, on every rank. The gradients are equal.
        kind: What the labels number, ``'class'`` or ``'caption'``; for the message.

    Returns:
        A scalar in float32.

    Raises:
        UserError: All pairs are of one class, or the form is unknown.
    """
    if not gather:
        all_videos, all_texts, all_labels = videos, texts, labels
    else:  # in float32, so that the gradients that come back from all ranks are summed in it
        all_labels = gather_labels(labels)
        all_videos, all_texts = gather_with_grad(videos.float()), gather_with_grad(texts.float())
    require_several_classes(all_labels, gather, kind)
    if not local:
        videos, texts, labels = all_videos, all_texts, all_labels
    loss = sum_of_both_directions(videos, texts, scale, labels, all_videos, all_texts, all_labels, form)
    share = len(all_labels) / world_size() if gather and local else len(labels)  # B / M, or all rows that are here
    return loss / share


def sum_of_both_directions(
    videos: Tensor,
    texts: Tensor,
    scale: Tensor | float,
    labels: Tensor,
    all_videos: Tensor,
    all_texts: Tensor,
    all_labels: Tensor,
    form: str,
) -> Tensor:
    """The sum over N pairs of the mean of L_video-to-text and L_text-to-video, each against all B pairs; 0 for N = 0.

    Args:
        videos: (N, D), not normalised.
        texts: (N, D), not normalised.
        scale: The factor ``exp(logit_scale)``.
        labels: (N,) label of each pair.
        all_videos: (B, D), the N among them.
        all_texts: (B, D).
        all_labels: (B,).
        form: ``'kl'`` or ``'ce'``.

    Raises:
        UserError: The form is unknown.
    """
    video_to_text = cosine_logits(videos, all_texts, scale)  # (N, B)
    text_to_video = cosine_logits(texts, all_videos, scale)  # (N, B)
    losses = [matching_loss(logits, labels, all_labels, form, 'sum') for logits in (video_to_text, text_to_video)]
    return (losses[0] + losses[1]) / 2


def match_accuracy(videos: Tensor, texts: Tensor, labels: Tensor) -> Tensor:
    """The share of videos (N, D) whose nearest text among N (N, D) is one of their own label (N,); no gradient."""
    nearest_text = cosine_logits(videos.detach(), texts.detach(), 1.0).argmax(1)  # (N,)
    return (labels[nearest_text] == labels).float().mean()


def require_several_classes(labels: Tensor, gather: bool, kind: str = 'class') -> None:
    """Refuse a batch in which nothing could be told apart.

    Raises:
        UserError: All labels (B,) are equal.
    """
    if bool((labels == labels[0]).all()):
        more = '' if gather else ', gather=True where several processes train'
        same, several = _KINDS[kind]
        raise UserError(
            f'All {len(labels)} videos of this batch {same.format(int(labels[0]))}: there is nothing to match against. '
            f'Matching needs batches of several {several}: a larger batch_size{more}, a sampler that shuffles, and '
            'drop_last=True in train_dataloader, since the last batch of an epoch may hold a single video.'
        )
