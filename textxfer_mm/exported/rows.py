"""Class rows for an exported model: from a bundle, or made of other names by an exported text encoder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from textxfer_mm.classifiers.bundle_files import read_bundle_file, require_unaltered
from textxfer_mm.errors import UserError, first_few, shown

#: Rows of one prompt by one encoder are no further apart, whatever machine and precision made them.
_LEAST_COSINE = 0.98


@dataclass(frozen=True)
class NamedRows:
    """Class rows and their names.

    Attributes:
        class_names: K names.
        rows: (K, D) float32.
        encoder_id: What made them.
        templates: The templates of their prompts; empty where there were none.
        glosses: The glosses behind the names, a tuple for each class; empty where there were none.
    """

    class_names: tuple[str, ...]
    rows: np.ndarray
    encoder_id: str
    templates: tuple[str, ...] = ()
    glosses: tuple[tuple[str, ...], ...] = ()

    def of(self, names: Sequence[str]) -> 'NamedRows':
        """The rows of some of the names, in their order.

        Raises:
            UserError: There is no row of a name.
        """
        places = {name: place for place, name in enumerate(self.class_names)}
        missing = [name for name in names if name not in places]
        if missing:
            raise UserError(
                f'There are no class rows of {first_few(missing)}. Give --text-encoder with the exported text encoder '
                'of the model, or --rows with a classifier file (.safetensors) that has them.'
            )
        chosen = [places[name] for name in names]
        glosses = tuple(self.glosses[place] for place in chosen) if self.glosses else ()
        return NamedRows(tuple(names), self.rows[chosen], self.encoder_id, self.templates, glosses)


def read_rows(path: str | Path) -> NamedRows:
    """Read the class rows of a classifier file (``ClassifierBundle.save``), and verify its hash.

    Raises:
        UserError: The file is missing, is no classifier, is of a newer format, or was altered.
    """
    rows, metadata, told = read_bundle_file(path)
    require_unaltered(rows, metadata, told, path)
    glosses = tuple(map(tuple, metadata.get('glosses', ())))
    return NamedRows(
        tuple(metadata['class_names']), rows, metadata['encoder_id'], tuple(metadata['templates']), glosses
    )


def require_kin(given: NamedRows, own: NamedRows, name: str, are_trained: bool = False) -> None:
    """Refuse class rows that are not of the space of a model's own: those of another text encoder mean nothing to it.

    Their makers go by their ids. The id of weights in a file is the file's name, so that classes of the same name and
    prompts are compared as well.

    Args:
        given: The rows.
        own: Those that the model was exported with.
        name: Where the rows are from, for the message.
        are_trained: Whether training moved those of the model, which then are no longer equal to any.

    Raises:
        UserError: They are of another one.
    """
    if _tower_of(given.encoder_id) != _tower_of(own.encoder_id):
        raise UserError(
            f'The class rows of {shown(name)} are by {given.encoder_id}, those of the model by {own.encoder_id}: rows '
            'of another text encoder recognise nothing. Make them with that of the model; rows made otherwise for its '
            'features bear its id (encoder_id of ClassifierBundle.from_rows).'
        )
    is_comparable = given.encoder_id == own.encoder_id and own.templates and not are_trained
    if not is_comparable or (given.templates, given.rows.shape[1]) != (own.templates, own.rows.shape[1]):
        return
    theirs, ours = _by_name(given), _by_name(own)
    other = [each for each in theirs if each in ours and float(theirs[each] @ ours[each]) < _LEAST_COSINE]
    if other:
        raise UserError(
            f'The class rows of {shown(name)} are by {given.encoder_id}, as those of the model, but by other weights: '
            f'they differ for {first_few([each for each, _ in other])}. Make them with the weights of the model.'
        )


def _by_name(rows: NamedRows) -> dict[tuple[str, tuple[str, ...]], np.ndarray]:
    """The rows by name and glosses."""
    glosses = rows.glosses or ((),) * len(rows.class_names)
    return dict(zip(zip(rows.class_names, glosses, strict=True), rows.rows, strict=True))


def _tower_of(encoder_id: str) -> str:
    """The text encoder of an id; prompts that were learned before it lead to the same space."""
    return encoder_id.partition('/learned-')[0]
