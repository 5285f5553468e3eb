"""Retrieval: items (images or videos) by their captions and captions by their items, as recall among the best k."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from textxfer_mm.errors import UserError, first_few
from textxfer_mm.evaluation.protocols import Measure

#: Items of a block: 256 x 25,000 scores in float64 are 51 MB.
_CHUNK = 256


def retrieval_recalls(
    items: Tensor, captions: Tensor, item_of: Tensor, ks: Sequence[int] = (1, 5, 10), chunk_size: int = _CHUNK
) -> dict[str, Measure]:
    """Recall among the best k in both directions by cosine similarity, where an item may have several captions.

    * ``text_to_item_r{k}`` (image or video retrieval, "IR"): the share of the m captions whose item is among the k most
      similar items.
    * ``item_to_text_r{k}`` (text retrieval, "TR"): the share of the n items that have one of their own captions among
      the k most similar captions.

    Ties count against the query: what is as similar as the right answer comes before it. So a model to which all is
    alike scores 0. To make that hold whatever the order of summation, cosines are computed in float64 and compared in
    float32.

    Where the wrong answers are fewer than k, nothing can be missed, and the number is left out.

    Args:
        items: Embeddings (n, D) of any norm, on any device; they are compared on the CPU.
        captions: Embeddings (m, D).
        item_of: (m,) the item of each caption, as an index.
        ks: How many of the best count.
        chunk_size: Items at a time: memory is that of ``chunk_size`` x m scores, plus O(n + m).

    Raises:
        UserError: Sizes or indices disagree, an item has no caption, embeddings are not finite, or there is nothing to
            be told apart.
    """
    items, captions, item_of = (x.detach().cpu() for x in (items, captions, item_of))
    _require(items, captions, item_of, ks)
    to_text, to_item = retrieval_ranks(items, captions, item_of, chunk_size)
    own = torch.bincount(item_of, minlength=len(items))  # (n,) captions of each item
    wrong = dict(text_to_item=len(items) - 1, item_to_text=len(captions) - int(own.max()))
    ranks = dict(text_to_item=to_item, item_to_text=to_text)
    return {
        f'{direction}_r{k}': Measure(float((found < k).double().mean()))
        for direction, found in ranks.items()
        for k in ks
        if k <= wrong[direction]
    }


def retrieval_ranks(
    items: Tensor, captions: Tensor, item_of: Tensor, chunk_size: int = _CHUNK
) -> tuple[Tensor, Tensor]:
    """How many wrong answers come before the right one, or are as similar; in both directions.

    Args:
        items: See :func:`retrieval_recalls`.
        captions: See there.
        item_of: See there.
        chunk_size: See there.

    Returns:
        For each item (n,) the number of captions of other items that are at least as similar as the best of its own,
        and for each caption (m,) the number of other items that are at least as similar as its own.
    """
    order = item_of.argsort(stable=True)
    item_of, captions = item_of[order], captions[order]  # those of an item side by side
    own_scores = _own_scores(items, captions, item_of)  # (m,)
    to_text = torch.empty(len(items), dtype=torch.long)
    to_item = torch.zeros(len(captions), dtype=torch.long)
    columns = _unit(captions).t()  # (D, m)
    for start in range(0, len(items), chunk_size):
        scores = (_unit(items[start : start + chunk_size]) @ columns).float()  # (c, m)
        left, right = torch.searchsorted(item_of, torch.tensor([start, start + len(scores)])).tolist()
        own = item_of[left:right] - start, torch.arange(left, right)  # where right answers are
        best = scores.new_full((len(scores),), -torch.inf).scatter_reduce(0, own[0], scores[own], 'amax')  # (c,)
        scores[own] = -torch.inf
        to_text[start : start + len(scores)] = (scores >= best[:, None]).count_nonzero(dim=1)
        to_item += (scores >= own_scores).count_nonzero(dim=0)
    return to_text, torch.empty_like(to_item).scatter(0, order, to_item)


def _own_scores(items: Tensor, captions: Tensor, item_of: Tensor, rows: int = 4096) -> Tensor:
    """The cosine (m,) of each caption and its item."""
    pairs = zip(captions.split(rows), item_of.split(rows), strict=True)
    return torch.cat([(_unit(texts) * _unit(items[index])).sum(dim=1).float() for texts, index in pairs])


def _unit(x: Tensor) -> Tensor:
    return functional.normalize(x.double(), dim=-1)


def _require(items: Tensor, captions: Tensor, item_of: Tensor, ks: Sequence[int]) -> None:
    """Refuse what has no recall."""
    if items.ndim != 2 or captions.ndim != 2 or items.shape[1] != captions.shape[1]:
        raise UserError(
            f'Retrieval compares items (n, D) with captions (m, D); these are {tuple(items.shape)} and '
            f'{tuple(captions.shape)}.'
        )
    if item_of.shape != (len(captions),) or item_of.is_floating_point() or item_of.dtype == torch.bool:
        raise UserError(
            f'Each of {len(captions)} captions has the index of its item, got {item_of.dtype} of shape '
            f'{tuple(item_of.shape)}.'
        )
    if len(items) < 2:
        raise UserError(f'Retrieval tells items apart, and there are {len(items)}. Give two or more.')
    outside = item_of[(item_of < 0) | (item_of >= len(items))]
    if len(outside):
        raise UserError(f'A caption belongs to item {int(outside[0])}, but there are items 0 to {len(items) - 1} only.')
    without = (torch.bincount(item_of, minlength=len(items)) == 0).nonzero().flatten().tolist()
    if without:
        raise UserError(f'{len(without)} of {len(items)} items have no caption: {first_few(map(str, without))}.')
    for what, found in (('items', items), ('captions', captions)):
        broken = (~found.isfinite()).any(dim=1).nonzero().flatten().tolist()
        if broken:
            raise UserError(
                f'The embeddings of {len(broken)} of {len(found)} {what} ({first_few(map(str, broken))}) are not '
                'finite. Did the training diverge?'
            )
    wrong = [k for k in ks if not isinstance(k, int | np.integer) or isinstance(k, bool) or k < 1]
    if wrong or not ks:
        raise UserError(f'Recall is among the best k, whole numbers of at least 1; got {list(ks)}.')
