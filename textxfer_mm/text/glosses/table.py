"""Tables of glosses, and which of a table belong to the classes of a list.

A class text is ``{template(name)} {gloss}``. A class may have several glosses, one for each of its senses, or none: its
text is then the template alone.
"""

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from textxfer_mm.errors import UserError, first_few, nearest, shown
from textxfer_mm.text.class_names import folded

logger = logging.getLogger(__name__)

#: Glosses of K classes in the order of the labels, any number for each.
Glosses = tuple[tuple[str, ...], ...]
_TABLES = Path(__file__).parent / 'tables'
_FILE_SUFFIXES = ('.csv', '.tsv', '.json')


@dataclass(frozen=True)
class GlossEntry:
    """The glosses of one class.

    Attributes:
        name: The class name.
        glosses: One gloss for each sense; none where the class has none.
        senses: Where they come from, one for each gloss: ids of WordNet such as ``'v01717169+n03467517'``, or ``''``.
    """

    name: str
    glosses: tuple[str, ...]
    senses: tuple[str, ...] = ()


@dataclass(frozen=True)
class GlossTable:
    """The glosses of the classes of a list, in the order of its labels.

    Attributes:
        entries: One for each class.
        source: What the table is called in messages.
    """

    entries: tuple[GlossEntry, ...]
    source: str

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its classes."""
        return tuple(entry.name for entry in self.entries)

    def find(self, class_names: Sequence[str], *, required: bool = False) -> Glosses:
        """Return the glosses of K classes.

        A table of the same names in the same order gives them by position, so that classes of one name keep glosses of
        their own. Any other is looked up by name: as written, then without regard to case, spaces and marks
        (``ApplyEyeMakeup`` finds ``apply eye makeup``). Names without a gloss are logged.

        Args:
            class_names: K names.
            required: Whether each class must have a gloss.

        Raises:
            UserError: The table has none of the names, or several entries of one name and not one for each class of
                that name, or lacks the gloss of a class where it is required.
        """
        found = self._entries_of(class_names)
        if class_names and not any(found):
            raise UserError(
                f'The glosses of {self.source} are of other classes ({first_few(self.names) or "none"}): none of the '
                f'{len(class_names)} class names ({first_few(class_names)}) has one there. Give glosses of these '
                f'classes, or leave them out.'
            )
        glosses = tuple(entry.glosses if entry else () for entry in found)
        bare = [name for name, own in zip(class_names, glosses, strict=True) if not own]
        if bare and required:
            raise UserError(
                f'{len(bare)} of {len(class_names)} classes have no gloss in {self.source}, and one is required: '
                f'{first_few(bare, 5)}. Add them, or leave require_glosses out: such classes keep their bare name.'
            )
        if bare:
            logger.warning(
                '%d of %d classes have no gloss in %s and keep their bare name: %s.',
                *(len(bare), len(class_names), self.source, first_few(bare, 5)),
            )
        return glosses

    def _entries_of(self, class_names: Sequence[str]) -> list[GlossEntry | None]:
        """The entry of each class, or None."""
        if tuple(map(folded, class_names)) == tuple(map(folded, self.names)):
            return list(self.entries)
        same: dict[str, list[int]] = defaultdict(list)
        for position, name in enumerate(class_names):
            same[squeezed(name)].append(position)
        return [self._entry_of(name, n, same[squeezed(name)]) for n, name in enumerate(class_names)]

    def _entry_of(self, name: str, position: int, same: Sequence[int]) -> GlossEntry | None:
        """The entry of a class; ``same`` are the positions of its name in the list."""
        for spelled, index in zip((str, folded, squeezed), self._index, strict=True):
            entries = index.get(spelled(name), [])
            if entries:
                break
        else:
            return None
        if len(set(entries)) == 1:
            return entries[0]
        entries = self._index[-1][squeezed(name)]
        if len(same) != len(entries):
            raise UserError(
                f'{self.source} has {len(entries)} classes of the name {shown(name)!r} with different glosses, and '
                f'this list has {len(same)}: which one is meant? Give the glosses of these classes alone.'
            )
        return entries[same.index(position)]

    @cached_property
    def _index(self) -> tuple[dict[str, list[GlossEntry]], ...]:
        """The entries by name, for each way of spelling, the strictest first."""
        made: tuple[dict[str, list[GlossEntry]], ...] = (defaultdict(list), defaultdict(list), defaultdict(list))
        for entry in self.entries:
            for spelled, index in zip((str, folded, squeezed), made, strict=True):
                index[spelled(entry.name)].append(entry)
        return made


def joined_tables(tables: Sequence[GlossTable]) -> GlossTable:
    """One table of several; a class that is in more than one is that of the first."""
    entries: list[GlossEntry] = []
    known: set[str] = set()
    for table in tables:
        entries += [entry for entry in table.entries if squeezed(entry.name) not in known]
        known |= set(map(squeezed, table.names))
    return GlossTable(tuple(entries), ', '.join(table.source for table in tables))


def squeezed(name: str) -> str:
    """A name as its letters and digits alone, in lower case; a name that has none stays as it is."""
    return re.sub(r'[\W_]+', '', name.casefold()) or name


def list_gloss_tables() -> tuple[str, ...]:
    """The names of the tables that come with this package, which are those of their lists of class names."""
    return tuple(sorted(path.stem for path in _TABLES.glob('*.csv') if not path.stem.endswith('_overrides')))


def shipped_file(name: str) -> Path | None:
    """The file of a shipped table, or of the overrides it was built with; None where there is none of the name."""
    path = _TABLES / f'{name}.csv'
    return path if re.fullmatch(r'\w+', name) and path.is_file() else None


def gloss_table(source: Any) -> GlossTable | None:
    """Return the table that ``source`` stands for; None for a sequence, which needs no names.

    Args:
        source: The name of a shipped table (:func:`list_gloss_tables`), a JSON or CSV file (``read_gloss_table``), a
            dict ``{name: gloss or glosses}``, a :class:`GlossTable`, or a sequence of K glosses.

    Raises:
        UserError: The name is unknown, the file is missing (``NotAtHandError``) or malformed, or a gloss is no text.
    """
    from textxfer_mm.text.glosses.files import read_gloss_table

    if isinstance(source, GlossTable):
        return source
    if isinstance(source, Mapping):
        entries = (GlossEntry(str(name), as_glosses(given, name)) for name, given in source.items())
        return GlossTable(tuple(entries), 'the given table')
    if isinstance(source, str) and source in list_gloss_tables():
        return read_gloss_table(shipped_file(source), source)
    if isinstance(source, Path) or (isinstance(source, str) and _looks_like_file(source)):
        return read_gloss_table(Path(source).expanduser())
    if isinstance(source, str):
        raise UserError(
            f'Unknown glosses {shown(source)!r} (a file of glosses ends in .csv or .json).'
            f'{nearest(source, list_gloss_tables())}'
        )
    if not isinstance(source, Sequence):
        raise UserError(
            'Glosses are the name of a shipped table, a JSON or CSV file, {name: gloss}, or a list of one for each '
            f'class, not a {type(source).__name__}.'
        )
    return None


def find_glosses(source: Any, class_names: Sequence[str], *, required: bool = False) -> Glosses:
    """Return the glosses of K classes.

    Args:
        source: See :func:`gloss_table`.
        class_names: K names in the order of the labels.
        required: Whether each class must have one.

    Returns:
        K tuples; ``()`` where ``source`` is None.

    Raises:
        UserError: See :func:`gloss_table` and :meth:`GlossTable.find`; or a sequence is not of K glosses.
    """
    if source is None:
        if required:
            raise UserError('require_glosses=True needs glosses: name a shipped table, a file or a dict.')
        return ()
    table = gloss_table(source)
    if table is None:
        if len(source) != len(class_names):
            raise UserError(f'{len(source)} glosses were given for {len(class_names)} classes: give one for each.')
        pairs = zip(class_names, source, strict=True)
        table = GlossTable(tuple(GlossEntry(n, as_glosses(g, n)) for n, g in pairs), 'the given list')
    return table.find(class_names, required=required)


def has_all(source: Any, class_names: Sequence[str]) -> bool:
    """Whether glosses are known by name for each of K classes; a sequence, which has no names, knows none."""
    table = gloss_table(source)
    return table is not None and all(entry is not None for entry in table._entries_of(class_names))


def told_apart(class_names: Sequence[str], glosses: Glosses) -> tuple[str, ...]:
    """The names of K classes for showing: those that occur twice with the glosses that tell them apart."""
    if not glosses:
        return tuple(class_names)
    times = Counter(class_names)
    return tuple(
        f'{name} ({"; ".join(own)})' if own and times[name] > 1 else name
        for name, own in zip(class_names, glosses, strict=True)
    )


def as_glosses(given: Any, name: object) -> tuple[str, ...]:
    """Return the glosses of a class: of one text, several, or none (None, ``''``); white space becomes one space.

    Raises:
        UserError: Something is no text.
    """
    texts = given if isinstance(given, list | tuple) else [given]
    for text in texts:
        if not isinstance(text, str | None):
            raise UserError(
                f'The gloss of {shown(name)!r} is a text or a list of texts, not {shown(repr(text), 60)} '
                f'({type(text).__name__}).'
            )
    return tuple(dict.fromkeys(' '.join(text.split()) for text in texts if text and text.strip()))


def _looks_like_file(source: str) -> bool:
    return source.lower().endswith(_FILE_SUFFIXES) or '/' in source or '\\' in source
