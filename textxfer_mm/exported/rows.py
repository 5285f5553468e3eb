"""Class rows for an exported model: from a bundle, or made of other names by an exported text encoder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from textxfer_mm.classifiers.bundle_files import read_bundle_file, require_unaltered
from textxfer_mm.errors import UserError, first_few


@dataclass(frozen=True)
class NamedRows:
    """Class rows and their names.

    Attributes:
        class_names: K names.
        rows: (K, D) float32.
        encoder_id: What made them.
    """

    class_names: tuple[str, ...]
    rows: np.ndarray
    encoder_id: str

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
        return NamedRows(tuple(names), self.rows[[places[name] for name in names]], self.encoder_id)


def read_rows(path: str | Path) -> NamedRows:
    """Read the class rows of a classifier file (``ClassifierBundle.save``), and verify its hash.

    Raises:
        UserError: The file is missing, is no classifier, is of a newer format, or was altered.
    """
    rows, metadata, told = read_bundle_file(path)
    require_unaltered(rows, metadata, told, path)
    return NamedRows(tuple(metadata['class_names']), rows, metadata['encoder_id'])
