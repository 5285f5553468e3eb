"""What a search found, and the files that tell it."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Hit:
    """A moment that was found.

    Attributes:
        path: The file.
        name: What to call it in short: its path below the folder that was named.
        start: Where it begins, in seconds; 0 in an image.
        end: Where it ends, in seconds; 0 in an image.
        score: The cosine of its embedding and that of the query, from -1 to 1.
        remark: ``'gone since'`` or ``'changed since'`` it was indexed; empty otherwise.
    """

    path: str
    name: str
    start: float
    end: float
    score: float
    remark: str = ''


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        query: The text, or the path of the video or image.
        is_file: Whether the query is a video or an image.
        hits: The moments, best first.
        moments: How many were compared.
        files: How many files they are of.
        quantiles: The 0.5, 0.99 and 1.0 quantiles of the scores of all moments.
        skipped: Reasons by name of the files that could not be decoded.
        notes: What must be known beside it, one sentence each.
    """

    query: str
    is_file: bool
    hits: tuple[Hit, ...]
    moments: int
    files: int
    quantiles: Mapping[float, float]
    skipped: Mapping[str, str]
    notes: tuple[str, ...] = ()


def as_dict(found: Found) -> dict[str, Any]:
    """All of it for JSON: seconds rounded to milliseconds, scores to six places."""
    hits = [
        dict(
            rank=rank,
            score=round(hit.score, 6),
            file=hit.path,
            start=round(hit.start, 3),
            end=round(hit.end, 3),
            remark=hit.remark,
        )
        for rank, hit in enumerate(found.hits, 1)
    ]
    return dict(
        query=found.query,
        is_file=found.is_file,
        hits=hits,
        moments=found.moments,
        files=found.files,
        quantiles={str(share): round(value, 6) for share, value in found.quantiles.items()},
        skipped=dict(found.skipped),
        notes=list(found.notes),
    )


def as_csv(found: Found) -> str:
    """The hits as CSV: rank, score, file, start, end."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow(['rank', 'score', 'file', 'start', 'end'])
    for rank, hit in enumerate(found.hits, 1):
        writer.writerow([rank, f'{hit.score:.6f}', hit.path, f'{hit.start:.3f}', f'{hit.end:.3f}'])
    return file.getvalue()
