"""What the words of a class name may mean: which phrases of it WordNet has, and with which senses."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from textxfer_mm.text.glosses.wordnet import ID, WordNet

#: Words that belong to a verb where WordNet knows both together.
_PARTICLES = ('up', 'down', 'off', 'out', 'on', 'in', 'over', 'away', 'along', 'around', 'back', 'through', 'together')
#: Words between a verb and its object, and behind the object.
_SMALL_WORDS = (
    *('a', 'an', 'the', 'of', 'at', 'to', 'into', 'onto', 'with', 'from', 'for', 'by', 'under', 'across', 'about'),
    *('and', 'or', 'not', 'his', 'her', 'their', 'own', 'someone', 'something'),
    *(word for word in _PARTICLES if word != 'back'),
)
#: Ways in which a name is read, best first; the report counts them.
PHRASE, VERB_OBJECT, VERB, PARTIAL, NONE = 'phrase', 'verb + object', 'verb alone', 'partial', 'none'


@dataclass(frozen=True)
class Reading:
    """A name as one phrase of the dictionary, or as several parts whose glosses are joined.

    Attributes:
        how: :data:`PHRASE`, :data:`VERB_OBJECT`, ...
        parts: Of each part the ids of its senses, the most usual first; no part for :data:`NONE`.
    """

    how: str
    parts: tuple[tuple[str, ...], ...]


def words_of(name: str) -> list[str]:
    """The words of a class name in lower case: camel case is taken apart, and what stands in parentheses left out."""
    plain = re.sub(r'\([^)]*\)', ' ', name)
    plain = re.sub(r'(?<=[a-z])(?=[A-Z])', ' ', plain)
    return re.findall(r"[\w'-]+", plain.replace('_', ' ').lower())


def spelled_out(name: str) -> str:
    """A class name for a sentence encoder: words with spaces between them, and what is in parentheses."""
    return ' '.join(re.sub(r'(?<=[a-z])(?=[A-Z])', ' ', name).replace('_', ' ').lower().split())


def read(name: str, wordnet: WordNet) -> Reading:
    """Read a class name.

    In this order: an id of WordNet; the whole name as a noun, then as a verb; a verb and its object ("playing guitar",
    "pick up boxes"); a verb alone; the last noun or verb of the name ("bungee jumping").
    """
    if ID.fullmatch(name):
        return Reading(PHRASE, ((wordnet.synset(name).id,),))
    words = words_of(name)
    whole = _noun(words, wordnet) + _verb(words, wordnet)
    if whole:
        return Reading(PHRASE, (tuple(dict.fromkeys(whole)),))
    verb, rest = _leading_verb(words, wordnet)
    if verb:
        found = _object(rest, wordnet)
        return Reading(VERB_OBJECT, (verb, found)) if found else Reading(VERB, (verb,))
    for start in range(1, len(words)):
        senses = _noun(words[start:], wordnet) + _verb(words[start:], wordnet)
        if senses:
            return Reading(PARTIAL, (tuple(dict.fromkeys(senses)),))
    for start in range(len(words) - 1):
        senses = _noun(words[start : start + 1], wordnet)
        if senses and words[start] not in _SMALL_WORDS:
            return Reading(PARTIAL, (senses,))
    return Reading(NONE, ())


def _noun(words: Sequence[str], wordnet: WordNet) -> tuple[str, ...]:
    """The senses of words as one noun, also with hyphens between them or written as one word."""
    for joint in (' ', '-', ''):
        lemmas = wordnet.lemmas(joint.join(words), 'n') if words else ()
        if lemmas:  # of "hands" and "hand" the singular first
            return tuple(sense for lemma in sorted(lemmas, key=len) for sense in wordnet.senses(lemma, 'n'))
    return ()


def _verb(words: Sequence[str], wordnet: WordNet) -> tuple[str, ...]:
    """The senses of words as one verb, also of several dictionary forms (``lying``: lie)."""
    lemmas = wordnet.lemmas(' '.join(words), 'v') if words else ()
    return tuple(sense for lemma in lemmas for sense in wordnet.senses(lemma, 'v'))


def _leading_verb(words: Sequence[str], wordnet: WordNet) -> tuple[tuple[str, ...], list[str]]:
    """The senses of the verb that a name begins with, with its particle if it has one, and the words behind it."""
    if len(words) < 2 or not (words[0].endswith('ing') or _is_rather_a_verb(words[0], wordnet)):
        return (), list(words)
    if words[1] in _PARTICLES and (senses := _verb(words[:2], wordnet)):
        return senses, list(words[2:])
    return _verb(words[:1], wordnet), list(words[1:])


def _is_rather_a_verb(word: str, wordnet: WordNet) -> bool:
    return len(wordnet.senses(word, 'v')) > len(wordnet.senses(word, 'n'))


def _object(words: Sequence[str], wordnet: WordNet) -> tuple[str, ...]:
    """The senses of the first noun phrase among the words behind a verb."""
    for segment in _segments(words):
        for start in range(len(segment)):
            if senses := _noun(segment[start:], wordnet):
                return senses
    return ()


def _segments(words: Sequence[str]) -> Iterator[list[str]]:
    """Runs of words without small words between them."""
    run: list[str] = []
    for word in [*words, 'the']:
        if word not in _SMALL_WORDS:
            run.append(word)
        elif run:
            yield run
            run = []
