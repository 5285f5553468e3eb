"""The protocols by name: which scores each takes, and the rows of the table that come of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from textxfer_mm.apis.evaluation.lists import TestList
from textxfer_mm.errors import UserError
from textxfer_mm.evaluation import protocols
from textxfer_mm.evaluation.calibration import stacking
from textxfer_mm.evaluation.protocol_names import OF_TWO
from textxfer_mm.evaluation.protocols import Measure
from textxfer_mm.evaluation.view_logits import ViewLogits

#: The subject of what is said of base and novel classes together.
BOTH = 'both'
#: The key of a number, and what it is called in a report.
METRICS = {
    'top1': 'top-1',
    'top5': 'top-5',
    'mean_class': 'mean class accuracy',
    'map': 'mAP',
    'map_11': '11-point mAP',
    'base': 'base top-1',
    'novel': 'novel top-1',
    'harmonic_mean': 'harmonic mean',
    'area': 'area under novel over base',
}


@dataclass(frozen=True)
class Part:
    """What a protocol says of one list, or of several together.

    Attributes:
        protocol: A key of :data:`textxfer_mm.evaluation.protocol_names.PROTOCOLS`.
        subject: The list or lists.
        classes: How many names compete.
        videos: How many videos are tested.
        measures: Numbers by a key of :data:`METRICS`.
    """

    protocol: str
    subject: str
    classes: int
    videos: int
    measures: Mapping[str, Measure]

    def chance(self, metric: str) -> float | None:
        """The share that guessing gets right, where that is known."""
        shares = dict(top1=1, top5=5, mean_class=1, base=1, novel=1)
        return shares[metric] / self.classes if metric in shares else None


@dataclass(frozen=True)
class Tested:
    """The logits of one model on all lists.

    Attributes:
        lists: The lists.
        among_own: By title, each list with its own names competing.
        among_all: The lists of a protocol of two with all names competing: base first. None where none is asked for.
    """

    lists: Sequence[TestList]
    among_own: Mapping[str, ViewLogits]
    among_all: tuple[ViewLogits, ViewLogits] | None = None


def parts_of(protocol: str, tested: Tested) -> Iterator[Part]:
    """Compute a protocol for one model.

    Raises:
        UserError: The protocol is not defined for these lists.
    """
    if protocol == 'splits':
        yield from _splits(tested)
    elif protocol in OF_TWO:
        yield from _two(protocol, tested)
    else:
        for entry in tested.lists:
            logits = tested.among_own[entry.title]
            classes = len(logits.class_names)
            competing = classes // 2 if protocol == 'half' else classes
            yield Part(protocol, entry.title, competing, len(logits.labels), _OF_ONE[protocol](logits))


_OF_ONE: dict[str, Callable[[ViewLogits], dict[str, Measure]]] = {
    'full': lambda logits: protocols.full_class(logits.scores()),
    'half': protocols.half_class,
    'mean-class': lambda logits: protocols.mean_class_accuracy(logits.scores()),
    'map': lambda logits: protocols.mean_average_precision(logits.scores()),
    'map-11': lambda logits: protocols.eleven_point_map(logits.scores()),
}


def _splits(tested: Tested) -> Iterator[Part]:
    """Mean and deviation over the lists of the model's own classes, and over those of others."""
    groups = [[entry for entry in tested.lists if (entry.names is None) == own] for own in (True, False)]
    groups = [group for group in groups if len(group) > 1]
    if not groups:
        raise UserError('Protocol splits is the mean over several lists: give --ann-file two times or more.')
    for group in groups:
        found = [tested.among_own[entry.title] for entry in group]
        classes = {len(logits.class_names) for logits in found}
        if len(classes) > 1:
            counts = ', '.join(map(str, sorted(classes)))
            raise UserError(f'Protocol splits takes lists of equally many classes; these have {counts}.')
        scores = [logits.scores() for logits in found]
        each = [{**protocols.full_class(part), **protocols.mean_class_accuracy(part)} for part in scores]
        subject = f'{len(group)} lists'
        videos = sum(len(part.labels) for part in scores)
        yield Part('splits', subject, classes.pop(), videos, protocols.mean_over(each))


def _two(protocol: str, tested: Tested) -> Iterator[Part]:
    """Base and novel classes, each among its own names or all together, then both."""
    entries = two_lists(tested.lists, protocol)
    found = tested.among_all
    if protocol == 'base-to-novel':
        found = tuple(tested.among_own[entry.title] for entry in entries)
    measures = protocols.base_to_novel(*(logits.scores() for logits in found))
    for key, entry, logits in zip(('base', 'novel'), entries, found, strict=True):
        part = {key: measures.pop(key)}
        yield Part(protocol, entry.title, len(logits.class_names), len(logits.labels), part)
    if protocol == 'generalized':
        base = len(tested.among_own[entries[0].title].class_names)
        measures['area'] = Measure(stacking(*joint(found), base).area)
    names = {name for logits in found for name in logits.class_names}
    yield Part(protocol, BOTH, len(names), sum(len(logits.labels) for logits in found), measures)


def joint(pair: Sequence[ViewLogits]) -> tuple[Tensor, Tensor]:
    """Logits (n, K) and labels (n,) of two lists with the same names competing, one after the other."""
    return torch.cat([logits.logits() for logits in pair]), torch.cat([logits.labels for logits in pair])


def two_lists(lists: Sequence[TestList], protocol: str) -> tuple[TestList, TestList]:
    """The list of base classes and that of novel ones.

    Raises:
        UserError: There are others, or one is missing.
    """
    base = [entry for entry in lists if entry.names is None]
    novel = [entry for entry in lists if entry.names is not None]
    if len(base) != 1 or len(novel) != 1:
        raise UserError(
            f'Protocol {protocol} compares the own list of the config with one list of other classes: give one '
            f'--ann-file with its --labels (here: {len(base)} own and {len(novel)} other).'
        )
    return base[0], novel[0]
