"""What the classifier sources that take class names share."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from textxfer_mm.text.class_names import load_class_names


class NamedClasses:
    """Class names that are checked at once when they are a list, and read when first needed when they are a file.

    A file may be missing where a checkpoint has the names.

    Args:
        class_names: A list, a file, or the name of a dataset (see ``load_class_names``).

    Raises:
        UserError: A list of class names is wrong. A wrong file or dataset name is reported when the names are first
            needed.
    """

    def __init__(self, class_names: str | Path | Sequence[str]):
        self._given_names = class_names
        if not isinstance(class_names, (str, Path)):
            _ = self.class_names

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """K names in the order of the labels."""
        return load_class_names(self._given_names)
