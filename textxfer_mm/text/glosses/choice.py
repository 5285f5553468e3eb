"""Choosing the senses of class names, and glosses made of them."""

import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from textxfer_mm.errors import UserError, first_few, nearest, shown
from textxfer_mm.text.glosses.readings import NONE, Reading, read, spelled_out
from textxfer_mm.text.glosses.table import GlossEntry, GlossTable, as_glosses, squeezed
from textxfer_mm.text.glosses.wordnet import ID, NUMBERED, WordNet

SENSES = ('similar', 'first')
OVERRIDE, BY_ID, OWN = 'override', 'id', 'own words'
_ONE = rf'(?:{ID.pattern}|{NUMBERED.pattern})'
_SENSE = re.compile(rf'{_ONE}(\s*\+\s*{_ONE})*')
_JOINT = '; '
#: What one place further down in WordNet's order, which is that of usage, costs of the cosine. Without it the encoder
#: takes rare senses for their words ("cutting nails": "grow through the gums").
_RARER = 0.02
#: Senses of each part that are combined with those of the others.
_MOST_OF_PART = 12
#: Letters of a sense that are compared; the packaged encoder reads 256 tokens.
_LONGEST = 500


@dataclass(frozen=True)
class ChosenGloss:
    """What was chosen for one class.

    Attributes:
        entry: Name, glosses and senses.
        how: How the name was read: one of ``readings``, or an override, or by an id.
        words: The words of the chosen senses, e.g. ``('play + guitar',)``.
        likeness: How near the senses are to the name where they were compared, the mean over several parts.
        choices: Among how many senses.
    """

    entry: GlossEntry
    how: str
    words: tuple[str, ...] = ()
    likeness: tuple[float, ...] = ()
    choices: int = 0


def choose_glosses(
    class_names: Sequence[str],
    wordnet: WordNet,
    *,
    encode: Callable[[Sequence[str]], Tensor] | None = None,
    sense: str = 'similar',
    max_senses: int = 1,
    overrides: Mapping[str, str | Sequence[str] | None] | None = None,
    ids: Sequence[str] | None = None,
) -> list[ChosenGloss]:
    """Choose the glosses of K classes.

    A name is read as ``readings.read`` says. Of the senses of a part that is taken which is nearest to the whole name
    by a sentence encoder (``'similar'``; of each sense it reads words, definition and examples, and a rarer sense must
    be nearer by 0.02 for each place that WordNet has it further down), or the most usual one (``'first'``: "playing
    guitar" becomes "participate in games or sport"). The glosses of several parts are joined with a semicolon. Where
    classes of one name have senses that WordNet defines alike, the other words of the sense stand before its gloss. A
    name that is an id itself becomes the first word of its sense.

    Args:
        class_names: K names.
        wordnet: The dictionary.
        encode: Sentences -> (n, D), for ``'similar'``.
        sense: ``'similar'`` or ``'first'``.
        max_senses: How many senses a class may have; those behind the first are the next nearest, or the next usual.
        overrides: By class name what takes the place of all this, one or several: ids of WordNet (of several parts with
            ``+`` between them) or glosses in own words; none for the bare name.
        ids: K ids of WordNet, such as ImageNet's; they go before the names.

    Raises:
        UserError: The way of choosing or an override is unknown, or an id, or there are not K ids.
    """
    require_sense(sense)
    if sense == 'similar' and encode is None:
        raise UserError("sense='similar' needs a sentence encoder: give `encode`, or take sense='first'.")
    if not isinstance(max_senses, int) or max_senses < 1:
        raise UserError(f'max_senses is a whole number of at least 1, got {max_senses!r}.')
    if ids is not None and len(ids) != len(class_names):
        raise UserError(f'{len(ids)} ids of WordNet were given for {len(class_names)} classes: give one for each.')
    told = _by_name(overrides or {}, class_names)
    made: dict[int, ChosenGloss] = {}
    readings: dict[int, Reading] = {}
    for number, name in enumerate(class_names):
        is_id = ids is None and ID.fullmatch(name)
        called = wordnet.synset(name).words[0] if is_id else name
        if name in told:
            made[number] = _overridden(called, told[name], wordnet)
        elif ids is not None or is_id:
            made[number] = _joined(called, BY_ID, [(name if ids is None else ids[number],)], wordnet)
        else:
            readings[number] = read(name, wordnet)
    compare = encode if sense == 'similar' else None
    ranked = _rank(class_names, readings, wordnet, compare)
    for number, reading in readings.items():
        best = _best(class_names[number], reading, ranked[number], max_senses, wordnet)
        made[number] = best if compare else replace(best, likeness=())
    return _told_apart([made[number] for number in range(len(class_names))], wordnet)


def _told_apart(chosen: list[ChosenGloss], wordnet: WordNet) -> list[ChosenGloss]:
    """Put a sense's other words before the gloss where two classes of one name have senses that are defined alike."""
    seen: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, choice in enumerate(chosen):
        if len(choice.entry.senses) == 1 and choice.entry.senses[0]:
            seen[squeezed(choice.entry.name), choice.entry.glosses[0]].append(number)
    for numbers in seen.values():
        if len({chosen[number].entry.senses for number in numbers}) > 1:
            for number in numbers:
                entry = chosen[number].entry
                others = [word for id_ in _parts(entry.senses[0]) for word in wordnet.synset(id_).words[1:]]
                gloss = _JOINT.join([*others, entry.glosses[0]])
                chosen[number] = replace(chosen[number], entry=replace(entry, glosses=(gloss,)))
    return chosen


def require_sense(sense: str) -> None:
    """Check a way of choosing.

    Raises:
        UserError: It is unknown.
    """
    if sense not in SENSES:
        raise UserError(f'Unknown sense choice {sense!r}.{nearest(sense, SENSES)}')


def table_of(chosen: Sequence[ChosenGloss], source: str) -> GlossTable:
    """The table of what was chosen."""
    return GlossTable(tuple(choice.entry for choice in chosen), source)


def _by_name(
    overrides: Mapping[str, str | Sequence[str] | None], class_names: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """The overrides by the names as they are spelled in the list."""
    names = {squeezed(name): name for name in class_names}
    strangers = [name for name in overrides if squeezed(name) not in names]
    if strangers:
        raise UserError(
            f'Overrides of classes that are not in the list: {first_few(strangers)}.'
            f'{nearest(strangers[0], class_names)}'
        )
    return {names[squeezed(name)]: as_glosses(given, name) for name, given in overrides.items()}


def _overridden(name: str, given: Sequence[str], wordnet: WordNet) -> ChosenGloss:
    """Senses or own words in the place of what would be found."""
    if not given:
        return ChosenGloss(GlossEntry(name, ()), OVERRIDE)
    try:
        parts = [
            _joined(name, OVERRIDE, [_parts(text)], wordnet)
            if _SENSE.fullmatch(text)
            else ChosenGloss(GlossEntry(name, (text,), ('',)), OVERRIDE, (OWN,))
            for text in given
        ]
    except UserError as error:
        raise UserError(f'The override of {shown(name)!r}: {error}') from None
    glosses, senses = (sum((getattr(part.entry, key) for part in parts), ()) for key in ('glosses', 'senses'))
    return ChosenGloss(GlossEntry(name, glosses, senses), OVERRIDE, sum((part.words for part in parts), ()))


def _parts(text: str) -> tuple[str, ...]:
    """The senses of an override."""
    return tuple(part.strip() for part in text.split('+'))


def _joined(
    name: str,
    how: str,
    chosen: Sequence[Sequence[str]],
    wordnet: WordNet,
    likeness: tuple[float, ...] = (),
    choices: int = 1,
) -> ChosenGloss:
    """Glosses of senses, each of several parts; of equal glosses the first."""
    glosses: dict[str, tuple[str, str, float]] = {}
    for ids, near in itertools.zip_longest(chosen, likeness, fillvalue=0.0):
        synsets = [wordnet.synset(sense) for sense in ids]
        gloss = _JOINT.join(synset.gloss for synset in synsets)
        sense, words = '+'.join(synset.id for synset in synsets), ' + '.join(synset.words[0] for synset in synsets)
        glosses.setdefault(gloss, (sense, words, near))
    senses, words, near = zip(*glosses.values(), strict=True)
    return ChosenGloss(GlossEntry(name, tuple(glosses), senses), how, words, near if likeness else (), choices)


#: Of each part of a name its senses and their likeness to the name, best first.
_Ranked = list[list[tuple[str, float]]]


def _rank(
    class_names: Sequence[str],
    readings: Mapping[int, Reading],
    wordnet: WordNet,
    encode: Callable[[Sequence[str]], Tensor] | None,
) -> dict[int, _Ranked]:
    """Sort the senses of all parts of all names: by likeness, or as WordNet has them."""
    if encode is None:
        return {
            number: [[(sense, -float(rank)) for rank, sense in enumerate(part)] for part in reading.parts]
            for number, reading in readings.items()
        }
    texts: dict[str, str] = {}
    for reading in readings.values():
        for sense in itertools.chain.from_iterable(reading.parts):
            synset = wordnet.synset(sense)
            texts[sense] = f'{", ".join(synset.words)}: {synset.examples}'[:_LONGEST]
    names = [spelled_out(class_names[number]) for number in readings]
    vectors = functional.normalize(encode([*names, *texts.values()]).float(), dim=1)
    rows = dict(zip(texts, vectors[len(names) :], strict=True))
    ranked: dict[int, _Ranked] = {}
    for (number, reading), name in zip(readings.items(), vectors, strict=False):
        ranked[number] = []
        for part in reading.parts:
            likeness = torch.stack([rows[sense] for sense in part]) @ name  # (senses,)
            likeness -= _RARER * torch.arange(len(part))
            order = likeness.argsort(descending=True, stable=True).tolist()
            ranked[number].append([(part[i], likeness[i].item()) for i in order])
    return ranked


def _best(name: str, reading: Reading, ranked: _Ranked, max_senses: int, wordnet: WordNet) -> ChosenGloss:
    """The best senses of a name; those of several parts are combined, the best sum first."""
    if not ranked:
        return ChosenGloss(GlossEntry(name, ()), NONE)
    combined = itertools.product(*(part[:_MOST_OF_PART] for part in ranked))
    best = sorted(combined, key=lambda parts: -sum(likeness for _, likeness in parts))[:max_senses]
    means = tuple(sum(likeness for _, likeness in parts) / len(parts) for parts in best)
    ids = [[sense for sense, _ in parts] for parts in best]
    choices = sum(len(part) for part in ranked)
    return _joined(name, reading.how, ids, wordnet, means, choices)
