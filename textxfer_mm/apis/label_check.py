"""Names against the labels of lists: what disagrees, and what is easily mistaken."""

import difflib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from textxfer_mm.apis.video_lists import ListLine, labels_of_lines, read_list_lines
from textxfer_mm.errors import UserError, shown
from textxfer_mm.text.class_folders import ClassFolders, letters
from textxfer_mm.text.class_names import folded, read_class_names

#: What can be remarked, and what it means.
REMARKS = {
    'out of range': 'labels without a name',
    'without videos': 'classes that no list has a video of',
    'missing in a list': 'classes without a video in one of the lists',
    'listed twice': 'videos that are there more than once, in one list or in two',
    'labelled otherwise': 'videos that are there more than once, with other labels',
    'folder of another class': 'videos in a folder that is called as another class',
    'duplicate names': 'names that make the same prompt',
    'look-alikes': 'names that are easily mistaken for one another',
}
#: What may well be meant so.
HARMLESS = ('missing in a list', 'look-alikes')

#: Share of letters that two names have in common from which on they are look-alikes.
_LIKENESS = 0.9
#: No list has more classes.
_MOST = 1_000_000


def check_labels(
    lists: Sequence[str | Path], class_names: str | Path | Sequence[str] | None = None, *, multi_label: bool = False
) -> dict[str, Any]:
    """Compare the labels of lists with each other and with names.

    Args:
        lists: Annotation lists, such as those for training and validation.
        class_names: Names in the order of the labels, see :func:`~textxfer_mm.text.class_names.load_class_names`; they
            may be wrong here. None knows none.
        multi_label: Whether all numbers of a line are labels, see
            :func:`~textxfer_mm.apis.video_lists.labels_of_lines`.

    Returns:
        For JSON: ``classes``, for each its ``label``, ``name`` (None without names) and ``videos`` in each list;
        ``videos`` in each list; and a list of lines for each of :data:`REMARKS`.

    Raises:
        UserError: A list or the names cannot be read, or a line has no label or one that can be none.
    """
    names = None if class_names is None else read_class_names(class_names)
    lines = {str(path): read_list_lines(path) for path in lists}
    labels = {path: labels_of_lines(part, path, multi_label=multi_label) for path, part in lines.items()}
    counts = {path: Counter(label for several in part for label in several) for path, part in labels.items()}
    highest = max(label for part in counts.values() for label in part)
    if names is not None and not names:
        raise UserError('The list of class names is empty.')
    if names is None and highest > _MOST:
        raise UserError(f'Label {highest} is no label of a class: is the last number of each line its label?')
    total = len(names) if names is not None else max(highest + 1, 1)
    called = [f'{label} ({shown(names[label])})' if names is not None else str(label) for label in range(total)]
    found = {
        'out of range': list(_out_of_range(lines, labels, total)),
        'without videos': [called[c] for c in range(total) if not any(part[c] for part in counts.values())],
        'missing in a list': [
            f'{called[c]}: none in {shown(path)}'
            for c in range(total)
            for path, part in counts.items()
            if not part[c] and any(other[c] for other in counts.values())
        ],
        **_repetitions(lines, labels),
        'folder of another class': list(_misplaced(lines, labels, names or ())),
        'duplicate names': _duplicates(names or ()),
        'look-alikes': list(_look_alikes(names or ())),
    }
    classes = [
        dict(label=c, name=names and names[c], videos={path: part[c] for path, part in counts.items()})
        for c in range(total)
    ]
    return dict(classes=classes, videos={path: len(part) for path, part in lines.items()}, **found)


def _out_of_range(
    lines: dict[str, list[ListLine]], labels: dict[str, list[tuple[int, ...]]], total: int
) -> Iterator[str]:
    everything = {label for part in labels.values() for several in part for label in several}
    if everything and min(everything) >= 1 and max(everything) == total:
        yield f'labels go from {min(everything)} to {total}, and count from 0: subtract 1 from each'
    for path, part in lines.items():
        for line, several in zip(part, labels[path], strict=True):
            for label in several:
                if not 0 <= label < total:
                    known = f'labels are 0 to {total - 1}' if label >= 0 else 'labels count from 0'
                    yield f'{shown(path)}, line {line.number}: label {label}, and {known}'


def _repetitions(lines: dict[str, list[ListLine]], labels: dict[str, list[tuple[int, ...]]]) -> dict[str, list[str]]:
    """Videos that are listed more than once."""
    places: dict[str, list[tuple[str, frozenset[int]]]] = defaultdict(list)
    for path, part in lines.items():
        for line, several in zip(part, labels[path], strict=True):
            places[line.path].append((f'{shown(path)}, line {line.number}', frozenset(several)))
    found: dict[str, list[str]] = {'listed twice': [], 'labelled otherwise': []}
    for video, there in places.items():
        if len(there) > 1:
            same = len({several for _, several in there}) == 1
            where = '; '.join(place for place, _ in there[:3]) + ('; ...' if len(there) > 3 else '')
            found['listed twice' if same else 'labelled otherwise'].append(f'{shown(video)}: {where}')
    return found


def _misplaced(
    lines: dict[str, list[ListLine]], labels: dict[str, list[tuple[int, ...]]], names: Sequence[str]
) -> Iterator[str]:
    """Videos in a folder whose name is that of a class, which is not theirs: the names are in another order."""
    known = ClassFolders(names)
    for path, part in lines.items():
        for line, several in zip(part, labels[path], strict=True):
            folders = known.labels_of(line.path)
            if folders and 0 <= several[0] < len(names) and not set(folders) & set(several):
                name, other = (shown(repr(names[label])) for label in (several[0], folders[-1]))
                place = f'{shown(path)}, line {line.number}: {shown(line.path)}'
                yield f'{place} has label {several[0]} ({name}), and {other} is label {folders[-1]}'


def _duplicates(names: Sequence[str]) -> list[str]:
    same: dict[str, list[int]] = defaultdict(list)
    for label, name in enumerate(names):
        same[folded(str(name))].append(label)
    return [
        ' and '.join(f'{shown(repr(names[label]))} ({label})' for label in there)
        for there in same.values()
        if len(there) > 1
    ]


def _look_alikes(names: Sequence[str]) -> Iterator[str]:
    """Pairs that differ in spelling, in letters of other alphabets or in few letters, and are no duplicates."""
    plain = [str(name) for name in names]
    by_letters: dict[str, list[int]] = defaultdict(list)
    for label, name in enumerate(plain):
        by_letters[letters(name)].append(label)
    for there in by_letters.values():
        for one, two in pairwise(there):
            if folded(plain[one]) != folded(plain[two]):
                yield _pair(plain, one, two)
    matcher = difflib.SequenceMatcher(autojunk=False)
    spelled = [' '.join(folded(name).split())[:200] for name in plain]
    for two, name in enumerate(spelled):
        matcher.set_seq2(name)
        for one in range(two):
            if letters(plain[one]) == letters(plain[two]):
                continue
            matcher.set_seq1(spelled[one])
            if min(matcher.real_quick_ratio(), matcher.quick_ratio()) >= _LIKENESS and matcher.ratio() >= _LIKENESS:
                yield _pair(plain, one, two)


def _pair(names: Sequence[str], one: int, two: int) -> str:
    return f'{shown(repr(names[one]))} ({one}) and {shown(repr(names[two]))} ({two})'
