"""Folders that are called as classes: where videos lie in them, they tell the order of the class names."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from textxfer_mm.errors import UserError, shown

#: Cyrillic and Greek letters that look like Latin ones.
_TWINS = str.maketrans('авекмнорстухіјѕԁɡɩοαρνικυϲ', 'abekmhopctyxijsdgloapvikuc')


def letters(name: str) -> str:
    """The letters and digits of a name, whatever form, case and alphabet they are written in."""
    return re.sub(r'[\W_]+', '', unicodedata.normalize('NFKC', name).casefold().translate(_TWINS))


class ClassFolders:
    """Finds the classes that the folders of videos are called as.

    Args:
        names: K class names in the order of the labels.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._label = {letters(str(name)): label for label, name in enumerate(names)}
        self._found: dict[str, tuple[int, ...]] = {}

    def labels_of(self, path: str) -> tuple[int, ...]:
        """The labels of the classes that the folders in a path are called as, the outermost first."""
        folder = re.sub(r'[^/\\]*$', '', path)
        if folder not in self._found:
            named = map(letters, re.split(r'[/\\]', folder))
            self._found[folder] = tuple(self._label[name] for name in named if name in self._label)
        return self._found[folder]


def require_order_of_folders(videos: Iterable[tuple[str, Sequence[int]]], names: Sequence[str]) -> None:
    """Check that the videos of a label do not lie in the folder of another class.

    Only where there are folders of several classes; a few videos that lie elsewhere are no mistake.

    Args:
        videos: The path of each video as its list has it, and its labels.
        names: K class names in the order of the labels.

    Raises:
        UserError: Most of a label's videos lie in the folder of another class.
    """
    folders = ClassFolders(names)
    found = [(there, labels) for path, labels in videos if (there := set(folders.labels_of(path)))]
    shared = set.intersection(*(there for there, _ in found)) if found else set()  # a folder above those of the classes
    told: dict[int, Counter[int]] = defaultdict(Counter)
    for there, labels in found:
        for label in labels if there - shared else ():
            told[label][label if there.intersection(labels) else min(there - shared)] += 1
    if len({other for counts in told.values() for other in counts}) < 2:
        return
    for label in sorted(told):
        (other, count), total = told[label].most_common(1)[0], told[label].total()
        if other != label and 2 * count > total and 0 <= label < len(names):
            raise UserError(
                f'{count} of {total} videos of label {label} lie in a folder of the name {shown(names[other])!r}, but '
                f'label {label} is called {shown(names[label])!r}: the class names are in another order than the '
                'labels. `textxfer data labels LIST --names NAMES` tells more.'
            )
