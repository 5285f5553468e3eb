"""From the prompts of classes to one row each: encode all, and average those of a class."""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from textxfer_mm.text.encoding import isolated
from textxfer_mm.text.glosses.prompts import class_prompts, senses_of
from textxfer_mm.text.glosses.table import Glosses


def embed_prompts(
    encode: Callable[[Sequence[str]], Tensor],
    templates: Sequence[str],
    class_names: Sequence[str],
    glosses: Glosses = (),
    reader: Any = None,
) -> Tensor:
    """Encode all M x S prompts with a text encoder, or with a tower that is being trained.

    Args:
        encode: Maps n prompts to (n, D).
        templates: M templates.
        class_names: K names.
        glosses: K tuples of glosses, or ``()``; S counts them as ``senses_of`` does, and is K without.
        reader: What the glosses are shortened for, see ``class_prompts``.

    Returns:
        (M, S, D), not normalised.
    """
    prompts = list(chain.from_iterable(class_prompts(templates, class_names, glosses, reader)))
    return encode(prompts).unflatten(0, (len(templates), -1))


def ensemble(features: Tensor, glosses: Glosses = ()) -> Tensor:
    """Combine the embeddings of several prompts a class.

    Args:
        features: (M, S, D), not normalised.
        glosses: K tuples of glosses, or ``()``.

    Returns:
        (K, D): the mean of the normalised embeddings of each class; its rows are shorter than 1.
    """
    with isolated(features.device):
        return mean_of_normalised(features, glosses)


def mean_of_normalised(features: Tensor, glosses: Glosses = ()) -> Tensor:
    """The mean (K, D) of normalised embeddings (M, S, D) over M and over the senses of each class, with gradient."""
    rows = functional.normalize(features.float(), dim=-1).mean(dim=0)  # (S, D)
    if len(rows) == len(glosses) or not glosses:
        return rows
    owners = torch.tensor(senses_of(glosses), device=rows.device)  # (S,)
    sums = rows.new_zeros(len(glosses), rows.shape[1]).index_add(0, owners, rows)
    return sums / owners.bincount(minlength=len(glosses))[:, None]
