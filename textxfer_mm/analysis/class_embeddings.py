"""The class embeddings of any classifier, text or learned linear layer: from a config, a checkpoint or a bundle."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.classifiers.stored_rows import FILLED, METADATA, WEIGHT, StoredRows
from textxfer_mm.engine.checkpoint import load_checkpoint_file, state_of
from textxfer_mm.engine.classes import classifier_of, head_of, source_of
from textxfer_mm.engine.config_files import load_config
from textxfer_mm.errors import UserError, first_few, nearest
from textxfer_mm.inputs import CONFIG_SUFFIXES, require_checkpoint

#: What the last linear layer is called in the heads of mmaction2, mmpretrain, torchvision and timm.
_LINEAR = re.compile(r'(^|\.)(fc_cls|fc|fc2|head|classifier)\.weight$')


@dataclass(frozen=True)
class ClassEmbeddings:
    """One row for each class.

    Attributes:
        weight: (K, D), rows of any norm.
        class_names: K names, or ``()`` where the file knows none.
        origin: Where they come from, for messages.
    """

    weight: Tensor
    class_names: tuple[str, ...]
    origin: str


def load_class_embeddings(path: str | Path, *, key: str | None = None) -> ClassEmbeddings:
    """Read the classifier of a config (``.py``: built from its source), a bundle (``.safetensors``) or a checkpoint.

    Args:
        path: The file.
        key: The weight to take out of a checkpoint; None finds the text classifier or the last linear layer.

    Raises:
        UserError: The file is missing, is nothing of these, or it cannot be told which weight is the classifier.
    """
    suffix = Path(path).suffix.lower()
    if suffix in CONFIG_SUFFIXES:
        return _of_config(path)
    if suffix == '.safetensors':
        return _of_bundle(ClassifierBundle.load(path), path)
    require_checkpoint(path)
    return _of_checkpoint(state_of(load_checkpoint_file(path), path), path, key)


def with_names(embeddings: Sequence[ClassEmbeddings], names: Sequence[str] | None) -> list[ClassEmbeddings]:
    """Name the classes of classifiers that know no names: as given, or like another classifier with as many classes.

    Raises:
        UserError: There are none, or another number of them.
    """
    result = []
    for one in embeddings:
        if not one.class_names:
            size = len(one.weight)
            found = names or next((o.class_names for o in embeddings if len(o.class_names) == size), None)
            if found is None or len(found) != size:
                known = f'{len(found)} names were given' if found else 'no names are known'
                raise UserError(f'{one.origin} holds {size} classes, but {known}: give its list with --class-names.')
            one = replace(one, class_names=tuple(found))
        result.append(one)
    return result


def choose_classes(
    embeddings: Sequence[ClassEmbeddings],
    *,
    classes: Sequence[str] | None = None,
    num: int | None = None,
    seed: int = 0,
) -> tuple[str, ...]:
    """Choose classes that all classifiers have.

    Args:
        embeddings: Classifiers with names.
        classes: Names, or indices into the first classifier; None draws.
        num: How many to draw, None all; they keep the order of the first classifier.
        seed: The seed of the draw.

    Raises:
        UserError: A class is unknown, or there are fewer than ``num``.
    """
    first, *others = embeddings
    if classes is not None:
        return tuple(dict.fromkeys(_name_of(word, first) for word in classes))
    common = [name for name in first.class_names if all(name in other.class_names for other in others)]
    if not common:
        raise UserError(f'{" and ".join(e.origin for e in embeddings)} have no class name in common.')
    if num is None:
        return tuple(common)
    if not 1 <= num <= len(common):
        raise UserError(f'{num} classes cannot be drawn from the {len(common)} that there are.')
    drawn = np.random.default_rng(seed).choice(len(common), num, replace=False)
    return tuple(common[i] for i in sorted(drawn))


def select_rows(embeddings: ClassEmbeddings, classes: Iterable[str]) -> Tensor:
    """The rows (k, D) of some classes.

    Raises:
        UserError: A class is unknown, or its row is not finite.
    """
    names = [_name_of(name, embeddings) for name in classes]
    rows = embeddings.weight[[embeddings.class_names.index(name) for name in names]].float()
    bad = [name for name, row in zip(names, rows, strict=True) if not row.isfinite().all()]
    if bad:
        raise UserError(
            f'{embeddings.origin} holds NaN or infinite numbers for {first_few(bad)}: did its training diverge?'
        )
    return rows


def _name_of(word: str, embeddings: ClassEmbeddings) -> str:
    """A class by its name, or by its index."""
    names = embeddings.class_names
    if word in names:
        return word
    folded = [name for name in names if name.casefold() == word.casefold()]
    if folded:
        return folded[0]
    if word.isdecimal():
        if int(word) < len(names):
            return names[int(word)]
        raise UserError(f'{embeddings.origin} has the classes 0 to {len(names) - 1}, not {word}.')
    raise UserError(f'{embeddings.origin} has no class {word!r}.{nearest(word, names)}')


def _of_config(path: str | Path) -> ClassEmbeddings:
    """Build the classifier of a config's head."""
    cfg = load_config(path)
    if not classifier_of(cfg):
        raise UserError(
            f'The head of {path} ({head_of(cfg).get("type", "none")}) has no classifier source: its rows are learned. '
            'Give a checkpoint instead.'
        )
    return _of_bundle(source_of(cfg).build(), path)


def _of_bundle(bundle: ClassifierBundle, path: str | Path) -> ClassEmbeddings:
    """The rows and names of a bundle."""
    return ClassEmbeddings(bundle.weight, bundle.class_names, str(path))


def _of_checkpoint(state: Mapping[str, Any], path: str | Path, key: str | None) -> ClassEmbeddings:
    """The class rows, else the last linear layer; other classifiers than the chosen one may be damaged."""
    matrices = {name: w.flatten(1) for name, w in state.items() if isinstance(w, Tensor) and _is_matrix(w)}
    rows = _keys_of_rows(state)
    if key is None:
        key = _only(rows, path) or _only(_of_heads([name for name in matrices if _LINEAR.search(name)]), path)
    held = StoredRows.read(state, key.removesuffix(WEIGHT)) if key in rows else None
    if key not in matrices:
        wanted = f'no matrix {key!r}' if key else 'no classifier known by its name'
        raise UserError(f'{path} holds {wanted}; give its weight with --key.{nearest(key or "fc_cls", matrices)}')
    return ClassEmbeddings(matrices[key], held.class_names if held else (), str(path))


def _keys_of_rows(state: Mapping[str, Any]) -> list[str]:
    """The matrices of class rows that were made before they were saved; nothing is looked into."""
    prefixes = [key.removesuffix(FILLED) for key in state if key.endswith(FILLED)]
    whole = [prefix for prefix in prefixes if {prefix + WEIGHT, prefix + METADATA} <= state.keys()]
    return [prefix + WEIGHT for prefix in whole if bool(state[prefix + FILLED])]


def _is_matrix(weight: Tensor) -> bool:
    """Whether it is (K, D), or a convolution that works as a linear layer: (K, D, 1, 1)."""
    return weight.ndim >= 2 and all(side == 1 for side in weight.shape[2:]) and weight.is_floating_point()


def _of_heads(keys: Sequence[str]) -> Sequence[str]:
    """Those under ``cls_head`` or ``head``, if there are any."""
    return [key for key in keys if re.match(r'(cls_)?head\.', key)] or keys


def _only(keys: Sequence[str], path: str | Path) -> str | None:
    """The only key; None where there is none."""
    if len(keys) > 1:
        raise UserError(f'{path} holds several classifiers: {", ".join(keys)}. Choose one with --key.')
    return keys[0] if keys else None
