"""The models at hand: each built once, asked for any labels, one prediction at a time."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from textxfer_mm.apis import Recognizer, Timeline, VideoFailure, VideoPrediction, timeline
from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.classifiers.distinct import IndistinctError
from textxfer_mm.datasets.transforms_video import CorruptVideoError
from textxfer_mm.engine.classes import rows_of
from textxfer_mm.errors import UserError, first_few, shown
from textxfer_mm.inputs import is_image
from textxfer_mm.text.class_names import folded, load_class_names

#: The most labels at once, the most letters of one, and for how many lists of labels the class rows are kept.
MOST_LABELS, MOST_LETTERS, KEPT_LISTS = 500, 300, 16
#: The most letters of a label in a message.
_SHOWN_LETTERS = 40

#: All models share what a framework keeps for the whole process (the default scope), and the cores.
_ONE_AT_A_TIME = threading.RLock()


@dataclass(frozen=True)
class Answer:
    """What is said of one video or image.

    Attributes:
        name: The name of the file.
        model: The name of the model.
        prediction: Labels and scores.
        frames: RGB frames (T, H, W, 3) as uint8, as the model saw them; none where they cannot be shown.
        timeline: What happens when; None where it was not asked for, or there is none.
        notes: What must be known beside it, one sentence each.
    """

    name: str
    model: str
    prediction: VideoPrediction
    frames: np.ndarray
    timeline: Timeline | None
    notes: tuple[str, ...]


class ServedModel:
    """A model that answers for a file and labels.

    Args:
        name: What it is called.
        recognizer: The model.
        has_own_classes: Whether it has classes that can be looked for without labels.
        remark: What must be known of all its answers, one sentence.
    """

    def __init__(self, name: str, recognizer: Recognizer, has_own_classes: bool = True, remark: str = '') -> None:
        self.name = name
        self.remark = remark
        self._recognizer = recognizer
        self._rows = rows_of(recognizer.model)
        self._own = self._rows.bundle() if self._rows is not None and has_own_classes else None
        self._made: OrderedDict[tuple[str, ...], tuple[ClassifierBundle, tuple[str, ...]]] = OrderedDict()

    @property
    def takes_labels(self) -> bool:
        """Whether other labels than its own can be looked for."""
        return self._rows is not None and self._rows.takes_other_names

    @property
    def own_labels(self) -> tuple[str, ...]:
        """The labels that are looked for where none are given."""
        if self._rows is None:
            return self._recognizer.class_names
        return () if self._own is None else self._own.class_names

    @property
    def own_in_brackets(self) -> str:
        """The first of its own labels, for a message; empty where it has no names for its classes."""
        return f' ({first_few(self.own_labels)})' if self.own_labels else ''

    def answer(self, path: Path, labels: Sequence[str] = ()) -> Answer:
        """Recognise a file among labels.

        Args:
            path: A video or an image.
            labels: Class names, of which equal ones count once; none takes the model's own.

        Raises:
            UserError: The labels are wrong or look the same to the model, or the file cannot be decoded.
        """
        different, notes = _without_repeated(labels)
        names = self._checked(different)
        with self._looking_for(names, path) as warnings:
            notes += warnings
            prediction = self._recognizer(path)
            if isinstance(prediction, VideoFailure):
                raise UserError(f'{shown(path.name)} could not be read: {prediction.reason}.')
            try:
                frames = self._recognizer.frames(path)
            except UserError as error:
                frames = np.zeros((0, 1, 1, 3), np.uint8)
                notes.append(str(error))
        remarks = [self.remark] if self.remark else []
        return Answer(path.name, self.name, prediction, frames, None, (*notes, *remarks))

    def with_timeline(self, answer: Answer, path: Path, progress: Callable[[int, int], None] | None = None) -> Answer:
        """Add to an answer what happens when, which takes longer than the answer.

        Args:
            answer: The answer for the file.
            path: The file.
            progress: Called with the number of finished windows and of all.

        Raises:
            UserError: The file cannot be decoded.
        """
        if is_image(path):
            return replace(answer, notes=(*answer.notes, 'An image has no timeline.'))
        with self._looking_for(answer.prediction.class_names, path):
            return replace(answer, timeline=timeline(self._recognizer.model, path, progress=progress))

    @contextmanager
    def _looking_for(self, names: tuple[str, ...], path: Path) -> Iterator[tuple[str, ...]]:
        """Look for labels, while nobody else is answered.

        Yields:
            What the model warns of where it reads them.

        Raises:
            UserError: What the body raises, with the file called by its name: its path is nobody's business.
        """
        with _ONE_AT_A_TIME:
            try:
                yield self._look_for(names)
            except IndistinctError as error:
                groups = first_few((_in_message(group, ' and ') for group in error.groups), 5, '; ')
                raise UserError(
                    f'These labels look the same to the model: {groups}. Write them otherwise: in other words, or in '
                    'another language.'
                ) from error
            except CorruptVideoError as error:
                raise UserError(f'{shown(path.name)} could not be read: {error.reason}.') from error
            except UserError as error:
                raise UserError(str(error).replace(str(path), shown(path.name))) from error

    def _checked(self, labels: Sequence[str]) -> tuple[str, ...]:
        """The labels as class names; empty for the model's own.

        Raises:
            UserError: They are wrong, or the model has no labels without them.
        """
        if not labels:
            if self._rows is not None and self._own is None:
                raise UserError('Type the labels to look for, such as: waving, clapping hands.')
            return ()
        if not self.takes_labels:
            raise UserError(
                f'The model {self.name} knows its own classes alone{self.own_in_brackets}: leave the labels empty, or '
                'choose another model.'
            )
        if len(labels) > MOST_LABELS:
            raise UserError(f'{len(labels):,} labels are too many: give {MOST_LABELS} at most.')
        long = next((label for label in labels if len(label) > MOST_LETTERS), None)
        if long is not None:
            raise UserError(f'A label has {MOST_LETTERS} letters at most, this one has {len(long):,}: {long[:40]}...')
        return load_class_names(list(labels))

    def _look_for(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Let the model look for labels; the class rows of the last lists are kept, with what it warns of."""
        if self._rows is None:
            return ()
        if not names or (self._own is not None and names == self._own.class_names):
            self._recognizer.replace_classes(self._own)
            return ()
        if names not in self._made:
            warnings: list[str] = []  # they are for who typed the labels, and no business of the log
            self._made[names] = self._rows.make_for(names, warn=warnings.append), tuple(warnings)
        self._made.move_to_end(names)
        if len(self._made) > KEPT_LISTS:
            self._made.popitem(last=False)
        bundle, told = self._made[names]
        self._recognizer.replace_classes(bundle)
        return told


def _without_repeated(labels: Sequence[str]) -> tuple[list[str], list[str]]:
    """The labels without those that are equal to one before, and a note that names these."""
    times: dict[str, list[str]] = {}
    for label in labels:
        times.setdefault(folded(label), []).append(label)
    repeated = [same for same in times.values() if len(same) > 1]
    if len(repeated) == 1:
        how_often = 'twice' if len(repeated[0]) == 2 else f'{len(repeated[0])} times'
        notes = [f'{_in_message(repeated[0][:1])} was given {how_often} and counts once.']
    else:
        firsts = _in_message([same[0] for same in repeated])
        notes = [f'These labels were given more than once and count once: {firsts}.'] if repeated else []
    return [same[0] for same in times.values()], notes


def _in_message(labels: Sequence[str], separator: str = ', ') -> str:
    """The first of some labels, the long ones shortened."""
    return first_few((repr(shown(label, _SHOWN_LETTERS)) for label in labels), 5, separator)
