"""The labelled videos that a model is made of: from class folders or from a list."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from textxfer_mm.apis.class_videos import videos_of_classes
from textxfer_mm.apis.video_lists import labels_of_lines, read_list_lines
from textxfer_mm.errors import UserError, first_few, shown
from textxfer_mm.text.class_names import load_class_names, require_same_names

#: Beside a list, the class names in the order of its labels, as ``textxfer data from-folder`` writes them.
CLASS_FILE = 'classes.txt'


@dataclass(frozen=True)
class LabelledVideos:
    """Videos with one label each.

    Attributes:
        root: The folder where the paths begin.
        class_names: K names in the order of the labels.
        paths: n paths from ``root`` on, or absolute ones.
        labels: n labels.
        sides: ``'train'`` or ``'val'`` of each, where it is known on which side they are; otherwise none.
        left_out: Reasons by path of the videos that cannot be decoded.
    """

    root: Path
    class_names: tuple[str, ...]
    paths: tuple[str, ...]
    labels: tuple[int, ...]
    sides: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def files(self) -> list[str]:
        """The paths of the files."""
        return [str(self.root / path) for path in self.paths]

    @property
    def counts(self) -> list[int]:
        """How many videos there are of each class."""
        found = Counter(self.labels)
        return [found[label] for label in range(len(self.class_names))]

    def without(self, reasons: Mapping[str, str]) -> 'LabelledVideos':
        """The videos but for some, given as files with the reason of each."""
        kept = [n for n, file in enumerate(self.files) if file not in reasons]
        gone = {path: reasons[file] for path, file in zip(self.paths, self.files, strict=True) if file in reasons}
        columns = {name: getattr(self, name) for name in ('paths', 'labels', 'sides')}
        picked = {name: tuple(values[n] for n in kept) if values else () for name, values in columns.items()}
        return replace(self, **picked, left_out={**self.left_out, **gone})

    def require_enough(self) -> None:
        """Refuse what nothing can be learned from, or be told by.

        Raises:
            UserError: There is one class only, or a class with one video only.
        """
        gone = f' ({len(self.left_out)} videos were left out, as they cannot be decoded)' if self.left_out else ''
        if not self.paths:
            first = next(iter(self.left_out.items()), ('', 'there is none'))
            raise UserError(f'No video can be decoded, such as {shown(first[0])}: {shown(first[1])}.')
        if len(self.class_names) < 2:
            raise UserError(
                f'There is one class only, {shown(self.class_names[0])!r}: a model tells two or more apart. Give a '
                'folder that holds one folder for each of them.'
            )
        self._require_two(self.counts, 'video(s)', f'{gone}: one to learn from and one to test with is the least')
        if self.sides:
            inside = [label for label, side in zip(self.labels, self.sides, strict=True) if side == 'train']
            found = Counter(inside)
            counts = [found[label] for label in range(len(self.class_names))]
            self._require_two(counts, 'training video(s)', f'{gone}: two are the least')
            if len(inside) == len(self.labels):
                raise UserError(f'There are no videos to validate with{gone}: leave --val out, or give some.')

    def _require_two(self, counts: Sequence[int], what: str, why: str) -> None:
        """Refuse a class with fewer than two videos."""
        few = [f'{shown(self.class_names[label])!r} has {n}' for label, n in enumerate(counts) if n < 2]
        if few:
            raise UserError(f'{len(few)} of {len(counts)} classes have too few {what}: {first_few(few, 5)}{why}.')


def read_videos(
    source: str | Path,
    *,
    names: str | Path | Sequence[str] | None = None,
    val: str | Path | None = None,
) -> LabelledVideos:
    """Read class folders, or a list with a label a line.

    Args:
        source: A folder that holds one folder for each class (or ``train`` and ``val`` with the classes in them, of
            which a ``test`` is left alone), or an annotation list whose paths begin in its folder.
        names: Class names in the order of the labels, see ``load_class_names``; None takes the names of the folders,
            for a list ``classes.txt`` beside it.
        val: Videos to validate with: a folder or a list like ``source``.

    Raises:
        UserError: There are none, or labels and names do not belong together.
    """
    made = _read(Path(source).expanduser().absolute(), names)
    if val is None:
        return made
    if made.sides:
        raise UserError(f'{shown(source)} is split already: leave --val out, or give its folder of training videos.')
    other = _read(Path(val).expanduser().absolute(), made.class_names if Path(val).expanduser().is_file() else None)
    require_same_names(made.class_names, other.class_names, shown(source), shown(val))
    twice = set(map(_resolved, made.files)) & set(map(_resolved, other.files))
    if twice:
        raise UserError(
            f'{len(twice)} videos are in {shown(source)} and in {shown(val)}, such as {shown(min(twice))}: what is '
            'trained with cannot tell how well new videos are recognised.'
        )
    return replace(
        made,
        paths=(*made.paths, *(str((other.root / path).absolute()) for path in other.paths)),
        labels=(*made.labels, *other.labels),
        sides=('train',) * len(made.paths) + ('val',) * len(other.paths),
    )


def _read(source: Path, names: str | Path | Sequence[str] | None) -> LabelledVideos:
    if source.is_file():
        return _of_list(source, names)
    found = videos_of_classes(source)
    kept = [n for n in range(len(found.paths)) if not found.sides or found.sides[n] != 'test']
    class_names = found.class_names if names is None else load_class_names(names)
    if len(class_names) != len(found.class_names):
        raise UserError(
            f'{shown(source)} holds {len(found.class_names)} class folders ({first_few(found.class_names)}), but '
            f'{len(class_names)} class names were given: give one for each, in the order of the sorted folders.'
        )
    sides = tuple(found.sides[n] for n in kept) if found.sides else ()
    paths, labels = (tuple(values[n] for n in kept) for values in (found.paths, found.labels))
    return LabelledVideos(source, class_names, paths, labels, sides)


def _of_list(source: Path, names: str | Path | Sequence[str] | None) -> LabelledVideos:
    lines = read_list_lines(source)
    labels = labels_of_lines(lines, source)
    several = next((line for line, label in zip(lines, labels, strict=True) if len(label) > 1), None)
    if several is not None:
        raise UserError(
            f'{shown(source)}, line {several.number} has several labels ({shown(several.text)}): train makes models of '
            'one label a video. Train those of several with tools/train.py (docs/classifiers.md).'
        )
    if names is None:
        names = source.parent / CLASS_FILE
        if not names.is_file():
            raise UserError(f"{shown(source)} has labels, but no names: give them in the labels' order, --labels-from.")
    class_names, flat = load_class_names(names), tuple(label for (label,) in labels)
    wrong = next((n for n, label in enumerate(flat) if not 0 <= label < len(class_names)), None)
    if wrong is not None:
        raise UserError(
            f'{shown(source)}, line {lines[wrong].number} has label {flat[wrong]}, but there are {len(class_names)} '
            f'class names ({first_few(class_names)}), for the labels from 0 on.'
        )
    paths = tuple(dict.fromkeys(line.path for line in lines))
    if len(paths) < len(lines):
        raise UserError(
            f'{shown(source)} lists {len(lines) - len(paths)} videos twice: `textxfer data labels` names them.'
        )
    return LabelledVideos(source.parent, class_names, paths, flat)


def _resolved(file: str) -> str:
    return str(Path(file).resolve())
