"""Class names that a text encoder cannot tell apart, refused before anything is trained or predicted with them."""

import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.errors import UserError, first_few, shown
from textxfer_mm.text.class_names import is_known_list

logger = logging.getLogger(__name__)

#: Two rows are nearly equal where one minus their cosine is below it. It is some 1e-7 between names of the same tokens,
#: and 1.7e-3 between the closest different names of the known lists ("Pushing something from left to right", "... from
#: right to left", by the packaged MiniLM). At this tolerance and a scale of 100, two logits of a video differ by at
#: most 0.45.
TOLERANCE = 1e-5
_CHUNK = 1024
#: Enough to know.
_MOST_PAIRS = 1000
_POWER_STEPS = 8
#: Words of more letters are unknown to BERT as a whole.
_LONG_WORD = 100


class IndistinctError(UserError):
    """Class names that a text encoder cannot tell apart.

    Attributes:
        groups: The names of which each group looks the same to it, as far as they were looked for.
    """

    def __init__(self, message: str, groups: Sequence[tuple[str, ...]]) -> None:
        super().__init__(message)
        self.groups = tuple(groups)


def require_distinct(
    bundle: ClassifierBundle,
    encoder: Any = None,
    *,
    trained: bool = False,
    warn: Callable[[str], object] = logger.warning,
) -> None:
    """Check that no two rows made of names are (nearly) equal, and warn of what the encoder does not know.

    Lists that are known by the name of a dataset are taken as they are.

    Args:
        bundle: The rows; those that no prompts were made for are not looked at.
        encoder: What made them, if it can tell which tokens are unknown to it (``unknown``).
        trained: Whether training has moved what made them: equal rows may then be its doing rather than the names', and
            are a warning.
        warn: Told each warning; by default they are logged.

    Raises:
        IndistinctError: Rows are (nearly) equal, or several names consist of nothing that the encoder knows.
    """
    if not bundle.templates:
        return
    texts = bundle.class_names
    if bundle.glosses:  # a gloss may be known where the name is not
        texts = tuple(' '.join((name, *own)) for name, own in zip(texts, bundle.glosses, strict=True))
    shares = _unknown(texts, encoder)
    nothing = [index for index, share in shares.items() if share == 1]
    pairs = sorted(itertools.islice(near_pairs(bundle.weight), _MOST_PAIRS))
    if (pairs or len(nothing) > 1) and not is_known_list(bundle.class_names):
        if not trained:
            raise IndistinctError(_refusal(bundle, pairs, nothing), _groups(bundle.class_names, pairs, nothing))
        warn(_refusal(bundle, pairs, nothing))
    if shares:
        known_in_part = first_few((bundle.class_names[i] for i in shares), 5)
        warn(
            f'The text encoder {bundle.encoder_id} does not know all of {len(shares)} of {bundle.num_classes} class '
            f'names, and reads unknown tokens in their place: {known_in_part}.'
        )


def _refusal(bundle: ClassifierBundle, pairs: Sequence[tuple[int, int]], nothing: Sequence[int]) -> str:
    """Name the classes that cannot be told apart, and why."""
    names, said = bundle.class_names, []
    if pairs:
        told = (f"'{shown(names[i])}' (class {i}) and '{shown(names[j])}' (class {j})" for i, j in pairs)
        said.append(f'their embeddings are equal, or nearly so: {first_few(told, 5, "; ")}')
    if nothing:
        said.append(f'it knows no part of {first_few((repr(names[i]) for i in nothing), 5)}')
    limit = 'at least ' if len(pairs) == _MOST_PAIRS else ''
    count = len({index for pair in pairs for index in pair} | set(nothing))
    return (
        f'The text encoder {bundle.encoder_id} cannot tell {limit}{count} of {len(names)} classes apart; '
        f'{"; ".join(said)}. Give names or glosses that differ in words it knows, or take an encoder of '
        'their language.'
    )


def _groups(names: Sequence[str], pairs: Sequence[tuple[int, int]], nothing: Sequence[int]) -> list[tuple[str, ...]]:
    """The names that look the same, by the pairs of those that do; those of which nothing is known do as well."""
    group_of: dict[int, set[int]] = {}
    for pair in (*pairs, *itertools.pairwise(nothing)):
        merged = set().union(*(group_of.get(index, {index}) for index in pair))
        group_of.update(dict.fromkeys(merged, merged))
    distinct = {min(group): group for group in group_of.values()}
    return [tuple(names[index] for index in sorted(group)) for _, group in sorted(distinct.items())]


def _unknown(texts: Sequence[str], encoder: Any) -> dict[int, float]:
    """The indices of texts with tokens that the encoder does not know, and the share of these in each."""
    unusual = [i for i, text in enumerate(texts) if not text.isascii() or max(map(len, text.split())) > _LONG_WORD]
    if not unusual or not callable(getattr(encoder, 'unknown', None)):
        return {}
    shares = encoder.unknown([texts[i] for i in unusual])
    return {i: share for i, share in zip(unusual, shares, strict=True) if share > 0}


def near_pairs(rows: Tensor, tolerance: float = TOLERANCE) -> Iterator[tuple[int, int]]:
    """Yield a pair of indices for each row that is nearly equal to another; of those that equal more, one pair.

    Rows that are close are close along any direction; along the one in which rows differ most few others are. So most
    of the K * K cosines of a hundred thousand rows are never computed.

    Args:
        rows: (K, D) of unit norm.
        tolerance: One minus the cosine of nearly equal rows is less.
    """
    along = (rows - rows.mean(dim=0)) @ _widest_direction(rows)  # (K,)
    order = along.argsort()
    rows, along = rows[order], along[order]
    reach = torch.searchsorted(along, along + (2 * tolerance) ** 0.5 * 1.01, right=True).tolist()
    for start in range(0, len(rows), _CHUNK):
        end = min(start + _CHUNK, len(rows))
        window = rows[start : reach[end - 1]]  # (n, D)
        near = (rows[start:end] @ window.T > 1 - tolerance).triu(1)
        others = near.int().argmax(dim=1)  # the next one
        for i, j in zip(near.any(dim=1).nonzero().flatten().tolist(), others[near.any(dim=1)].tolist(), strict=True):
            first, second = order[start + i].item(), order[start + j].item()
            yield min(first, second), max(first, second)


def _widest_direction(rows: Tensor) -> Tensor:
    """About the direction (D,) of the largest variance, by power iteration."""
    centred = rows - rows.mean(dim=0)
    direction = torch.ones(rows.shape[1])
    for _ in range(_POWER_STEPS):
        moved = centred.T @ (centred @ direction)
        direction = moved / moved.norm() if moved.norm() > 0 else direction / direction.norm()
    return direction
