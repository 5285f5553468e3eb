"""Class names of different datasets that mean the same: no class is a negative of its own synonym."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from textxfer_mm.errors import UserError, nearest
from textxfer_mm.text.class_names import folded


def synonyms_among(
    names: Mapping[str, Sequence[str]],
    rows: Mapping[str, Tensor] | None = None,
    *,
    threshold: float | None = None,
    groups: Sequence[Sequence[str]] = (),
) -> Tensor:
    """Which classes of different datasets mean the same.

    Names do that are equal but for case, white space, underscores and hyphens; names of one group; and those whose
    class rows are close. It is not passed on: names of two groups that share one are no synonyms.

    Args:
        names: Class names by dataset, U in all.
        rows: Their class rows (K, D) by dataset; needed for the threshold.
        threshold: The cosine from which two rows are those of synonyms; None looks at the names alone.
        groups: Groups of names.

    Returns:
        (U, U) of truth values in the order of the datasets, symmetric; never true within a dataset.

    Raises:
        UserError: A group names a class that there is none of, or a single one.
    """
    plain = [folded(name) for listed in names.values() for name in listed]
    number = {name: place for place, name in enumerate(dict.fromkeys(plain))}
    same = torch.tensor([number[name] for name in plain])  # (U,)
    found = same[:, None] == same[None, :]
    for group in groups:
        member = torch.isin(same, torch.tensor([number[name] for name in _known(group, number)]))
        found |= member[:, None] & member[None, :]
    owner = _owners(names)
    if threshold is not None:
        cosines = _cosines(names, rows)
        found = found.to(cosines.device) | (cosines >= threshold)
    owner = owner.to(found.device)
    return found & (owner[:, None] != owner[None, :])


def _known(group: Sequence[str], number: Mapping[str, int]) -> list[str]:
    """The names of a group as they are compared."""
    if isinstance(group, str) or len(group) < 2:
        raise UserError(f'A group of synonyms has two names or more, got {group!r}.')
    for name in group:
        if folded(name) not in number:
            raise UserError(f'The synonym {name!r} is a class of none of the datasets.{nearest(name, number)}')
    return [folded(name) for name in group]


def _owners(names: Mapping[str, Sequence[str]]) -> Tensor:
    """The number (U,) of the dataset of each name."""
    return torch.tensor([place for place, listed in enumerate(names.values()) for _ in listed])


def _cosines(names: Mapping[str, Sequence[str]], rows: Mapping[str, Tensor]) -> Tensor:
    """The cosines (U, U) of the class rows of all names."""
    stacked = functional.normalize(torch.cat([rows[name].detach().float() for name in names]), dim=1)
    return stacked @ stacked.t()


def closest_others(synonyms: Tensor, names: Mapping[str, Sequence[str]], rows: Mapping[str, Tensor]) -> str:
    """The names of different datasets that come closest to being synonyms, with their cosine; '' where all are.

    Args:
        synonyms: Which are (U, U).
        names: Class names by dataset, U in all.
        rows: Their class rows (K, D) by dataset.
    """
    cosines = _cosines(names, rows)
    owner = _owners(names).to(cosines.device)
    others = (owner[:, None] < owner[None, :]) & ~synonyms.to(cosines.device)
    if not others.any():
        return ''
    best = cosines.masked_fill(~others, -torch.inf).argmax()
    (pair,) = pairs_of(torch.zeros_like(others).flatten().index_fill(0, best, True).view_as(others), names)
    return f'{pair.replace(" = ", " and ")}, cosine {cosines.flatten()[best]:.3f}'


def pairs_of(synonyms: Tensor, names: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield each pair of synonyms (U, U) as a text with the datasets and class names."""
    places = [(dataset, name) for dataset, listed in names.items() for name in listed]
    for i, j in synonyms.triu().nonzero().tolist():
        yield ' = '.join(f'{name} ({dataset})' for dataset, name in (places[i], places[j]))
