"""Exact search: the cosine of a query with every moment, and the best of them, each stretch of a video once."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from torch import Tensor

#: How many of the best moments are looked at first, for each one that is wanted; more if these do not suffice.
_AT_FIRST = 32
#: The quantiles of all scores that are told.
QUANTILES = (0.5, 0.99, 1.0)


def cosines(vectors: Sequence[Tensor], query: Tensor) -> np.ndarray:
    """The cosine of a query with every vector.

    Args:
        vectors: Rows (n, D) of unit norm, in parts.
        query: (D,) of unit norm.

    Returns:
        (N,) float32, of the rows of all parts.
    """
    if not vectors:
        return np.zeros(0, np.float32)
    column = query.numpy()
    return np.concatenate([part.numpy() @ column for part in vectors])  # NumPy's product is the faster one by 40 %


def spread_of(scores: np.ndarray, owner: np.ndarray) -> dict[float, float]:
    """The quantiles :data:`QUANTILES` of the scores (N,) of moments that count."""
    found = np.quantile(scores[owner >= 0], QUANTILES)
    return dict(zip(QUANTILES, map(float, found), strict=True))


def best_moments(
    scores: np.ndarray,
    owner: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    *,
    topk: int,
    per_file: int | None = None,
    threshold: float | None = None,
) -> list[int]:
    """The rows of the best moments, best first; of equal ones the first.

    A moment that overlaps a better one of its file is left out: both show the same.

    Args:
        scores: Scores (N,).
        owner: The file of each (N,); those of -1 do not count.
        starts: Where they begin (N,).
        ends: Where they end (N,).
        topk: How many are wanted.
        per_file: The most of one file; None sets no limit.
        threshold: The least score; None sets none.
    """
    may = owner >= 0 if threshold is None else (owner >= 0) & (scores >= threshold)
    rows = np.flatnonzero(may)
    number = min(_AT_FIRST * topk, len(rows))
    while True:
        found = _walk(_highest(scores, rows, number), owner, starts, ends, topk, per_file)
        if len(found) == topk or number == len(rows):
            return found
        number = min(8 * number, len(rows))


def _highest(scores: np.ndarray, rows: np.ndarray, number: int) -> np.ndarray:
    """The rows of the highest scores, and those that equal the last of them, in order."""
    if 0 < number < len(rows):
        own = scores[rows]
        rows = rows[own >= np.partition(own, -number)[-number]]
    return rows[np.argsort(-scores[rows], kind='stable')]


def _walk(
    rows: np.ndarray, owner: np.ndarray, starts: np.ndarray, ends: np.ndarray, topk: int, per_file: int | None
) -> list[int]:
    """Take rows in their order, unless their file has enough or something better at that time."""
    found: list[int] = []
    counts: Counter[int] = Counter()
    taken: dict[int, list[int]] = {}
    for row in rows.tolist():
        file = int(owner[row])
        if counts[file] == per_file or any(
            starts[row] < ends[other] and starts[other] < ends[row] for other in taken.get(file, ())
        ):
            continue
        found.append(row)
        counts[file] += 1
        taken.setdefault(file, []).append(row)
        if len(found) == topk:
            break
    return found
