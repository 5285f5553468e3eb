"""Which classes of two datasets a model takes to be alike: its largest projection weights (MultiTrain, supp. Table 4).

The paper lists the five largest weights of each projection. It does not say how they were chosen; here they are the
largest signed ones of the whole matrix as it was trained, so that a class may occur in several of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import torch
from torch import Tensor

from textxfer_mm.engine.checkpoint import load_checkpoint_file, state_of
from textxfer_mm.engine.classes import head_of
from textxfer_mm.engine.config_files import config_of_checkpoint, load_config
from textxfer_mm.engine.finite import refuse_non_finite
from textxfer_mm.errors import UserError, nearest, shown
from textxfer_mm.layers.training_only import ATTRIBUTE
from textxfer_mm.text.class_names import load_class_names

_PREFIX, _SUFFIX = f'cls_head.{ATTRIBUTE}.projections.maps.', '.weight'
Projections = Mapping[tuple[str, str], Tensor]


@dataclass(frozen=True)
class ClassPair:
    """A large weight of a projection.

    Attributes:
        weight: Its value.
        source_class: The name of the class that speaks.
        target_class: The name of the class that it speaks for.
        source_label: The number of the former in its dataset.
        target_label: That of the latter.
    """

    weight: float
    source_class: str
    target_class: str
    source_label: int
    target_label: int


def read_projections(path: str | Path) -> dict[tuple[str, str], Tensor]:
    """The projections in a checkpoint: P_{a->d} (K_d, K_a) by the pair (a, d).

    Raises:
        UserError: The file is no checkpoint, or has no projections.
    """
    state = state_of(load_checkpoint_file(path), path)
    found = {key: value for key, value in state.items() if key.startswith(_PREFIX) and key.endswith(_SUFFIX)}
    if not found:
        raise UserError(
            f'{path} holds no projections between datasets: give a checkpoint that MultiDatasetHead was trained to, '
            'with two datasets or more. Published ones are without.'
        )
    refuse_non_finite(found, path)
    keys = {key: key.removeprefix(_PREFIX).removesuffix(_SUFFIX).split('.') for key in found}
    return {(unquote(keys[key][0]), unquote(keys[key][1])): value.float() for key, value in found.items()}


def config_with_names(checkpoint: str | Path, config: str | Path | None) -> Mapping[str, Any]:
    """The config that a user gave, or the one inside a checkpoint; an empty one where there is none.

    Raises:
        UserError: The config cannot be read, or the one inside is more than values.
    """
    if config is not None:
        return load_config(config)
    meta = load_checkpoint_file(checkpoint).get('meta') or {}
    return config_of_checkpoint(checkpoint) if meta.get('cfg') else {}


def names_of_datasets(
    projections: Projections, cfg: Mapping[str, Any], given: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """The class names of each dataset.

    Args:
        projections: What :func:`read_projections` gave.
        cfg: A config whose head may name the classes of its datasets; an empty one is fine.
        given: Lists, files or names of known lists by dataset, which come first.

    Raises:
        UserError: A dataset has no names, or another number of them; or names are given for none of the datasets.
    """
    classes = {source: matrix.shape[1] for (source, _), matrix in projections.items()}
    for name in given:
        if name not in classes:
            raise UserError(f'Class names are given for {name!r}, which has no projections.{nearest(name, classes)}')
    configured = head_of(cfg).get('datasets') or {}
    names = {}
    for name, count in classes.items():
        listed = given.get(name) or (configured.get(name) or {}).get('class_names')
        if listed is None:
            raise UserError(f'The class names of {name!r} ({count} classes) are not known: --class-names {name}=FILE.')
        names[name] = load_class_names(listed)
        if len(names[name]) != count:
            raise UserError(
                f'{shown(listed)} has {len(names[name])} class names, but {name!r} has {count} classes in the '
                'checkpoint.'
            )
    return names


def largest_pairs(matrix: Tensor, sources: Sequence[str], targets: Sequence[str], num: int) -> list[ClassPair]:
    """The largest signed weights of P_{a->d} (K_d, K_a), the largest first; of equal ones the first.

    Args:
        matrix: The projection.
        sources: The K_a class names of a.
        targets: The K_d class names of d.
        num: How many; all where there are fewer.
    """
    values, places = matrix.flatten().sort(descending=True, stable=True)
    pairs = zip(values[:num].tolist(), places[:num].tolist(), strict=True)
    split = [(value, *divmod(place, matrix.shape[1])) for value, place in pairs]
    return [ClassPair(value, sources[column], targets[row], column, row) for value, row, column in split]


def cross_dataset_pairs(
    projections: Projections, names: Mapping[str, Sequence[str]], num: int = 5
) -> dict[tuple[str, str], list[ClassPair]]:
    """:func:`largest_pairs` of every ordered pair of datasets."""
    return {
        (source, target): largest_pairs(matrix, names[source], names[target], num)
        for (source, target), matrix in projections.items()
    }


def to_json(pairs: Mapping[tuple[str, str], Sequence[ClassPair]]) -> list[dict[str, Any]]:
    """The pairs as JSON can hold them."""
    return [
        dict(source=source, target=target, pairs=[asdict(pair) for pair in found])
        for (source, target), found in pairs.items()
    ]


def to_markdown(pairs: Mapping[tuple[str, str], Sequence[ClassPair]]) -> str:
    """The pairs as a table, as in the paper."""
    lines = ['| from | to | class | class it speaks for | weight |', '|---|---|---|---|---|']
    for (source, target), found in pairs.items():
        for place, pair in enumerate(found):
            cells = [source, target] if not place else ['', '']
            cells += [pair.source_class, pair.target_class, f'{pair.weight:.4f}']
            lines.append('| ' + ' | '.join(shown(cell).replace('|', r'\|') for cell in cells) + ' |')
    return '\n'.join(lines) + '\n'


def map_of(
    matrix: Tensor, found: Sequence[ClassPair], sources: Sequence[str], targets: Sequence[str]
) -> tuple[Tensor, list[str], list[str]]:
    """The part of a projection that is about the classes of its largest pairs, with their names.

    Args:
        matrix: The projection (K_d, K_a).
        found: Its largest pairs.
        sources: The class names of a.
        targets: The class names of d.

    Returns:
        (rows, columns), the names of the rows (of d) and of the columns (of a).
    """
    rows = list(dict.fromkeys(pair.target_label for pair in found))
    columns = list(dict.fromkeys(pair.source_label for pair in found))
    part = matrix[torch.tensor(rows)][:, torch.tensor(columns)]
    return part, [targets[row] for row in rows], [sources[column] for column in columns]
