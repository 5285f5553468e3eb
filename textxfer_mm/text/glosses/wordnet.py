"""A reader of WordNet's database files (``man 5 wndb``): index, data and exception lists.

Offsets are those of the release that is read. ImageNet's ids are offsets of nouns in WordNet 3.0.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from textxfer_mm.errors import NotAtHandError, UserError, shown

#: Letters of ids, and the files they belong to; adjective satellites lie with the adjectives.
_FILES = dict(n='noun', v='verb', a='adj', r='adv')
ID = re.compile(r'([nvar])(\d{8})')
NUMBERED = re.compile(r"([\w'/ -]+)\.([nvar])\.(\d{1,2})")
#: Endings that inflection puts on, and what stands in their place in the dictionary (``man 7 morphy``).
_ENDINGS = dict(
    n=(
        ('s', ''),
        ('ses', 's'),
        ('xes', 'x'),
        ('zes', 'z'),
        ('ches', 'ch'),
        ('shes', 'sh'),
        ('men', 'man'),
        ('ies', 'y'),
    ),
    v=(('s', ''), ('ies', 'y'), ('es', 'e'), ('es', ''), ('ed', 'e'), ('ed', ''), ('ing', 'e'), ('ing', '')),
    a=(('er', ''), ('est', ''), ('er', 'e'), ('est', 'e')),
    r=(),
)
_NEED = (
    "Give the folder of WordNet 3.0's files, such as /usr/share/wordnet of Debian's package wordnet-base "
    '(apt-get install wordnet-base)'
)


@dataclass(frozen=True)
class Synset:
    """One sense.

    Attributes:
        id: Part of speech and offset, e.g. ``'n01440764'``.
        words: Its words, the usual one first.
        gloss: Its definition, without the examples.
        examples: Definition and examples, as they are written.
    """

    id: str
    words: tuple[str, ...]
    gloss: str
    examples: str


class WordNet:
    """The dictionary in a folder; files are read when they are first needed.

    Args:
        folder: Holds ``index.noun``, ``data.noun``, ``noun.exc`` and those of the other parts of speech.

    Raises:
        UserError: The folder lacks one of these (``NotAtHandError``).
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder).expanduser()
        names = [name for kind in _FILES.values() for name in (f'index.{kind}', f'data.{kind}', f'{kind}.exc')]
        missing = [name for name in names if not (self.folder / name).is_file()]
        if missing:
            what = 'does not exist' if not self.folder.is_dir() else f'lacks {", ".join(missing)}'
            raise NotAtHandError(f'The WordNet folder {shown(folder)} {what}. {_NEED}.')
        self._data: dict[str, bytes] = {}

    def synset(self, sense: str) -> Synset:
        """Return a sense by its id (``n01440764``) or by word, part of speech and number (``tench.n.01``).

        Raises:
            UserError: It is neither, or WordNet has no such sense.
        """
        if numbered := NUMBERED.fullmatch(sense):
            senses = self.senses(numbered[1], numbered[2])
            if not 1 <= int(numbered[3]) <= len(senses):
                raise UserError(
                    f'WordNet in {self.folder} has {len(senses)} senses of {shown(numbered[1])!r} as {numbered[2]}: '
                    f'{shown(sense)} is none of them.'
                )
            sense = senses[int(numbered[3]) - 1]
        match = ID.fullmatch(sense)
        if match is None:
            raise UserError(f'{shown(sense)!r} is no sense of WordNet, such as n01440764 or tench.n.01.')
        kind, offset = match[1], int(match[2])
        data = self._read(kind)
        line = data[offset : data.find(b'\n', offset)].decode('latin-1') if offset < len(data) else ''
        if not line.startswith(f'{match[2]} '):
            raise UserError(f'WordNet in {self.folder} has no sense {sense}. Is it the release the id is of (3.0)?')
        fields, _, gloss = line.partition(' | ')
        fields = fields.split()
        try:
            words = fields[4 : 4 + 2 * int(fields[3], 16) : 2]
        except (ValueError, IndexError):
            raise self._broken(f'data.{_FILES[kind]}', line) from None
        words = tuple(re.sub(r'\(\w+\)$', '', word).replace('_', ' ') for word in words)
        return Synset(sense, words, _definition(gloss), gloss.strip())

    def senses(self, phrase: str, kind: str) -> tuple[str, ...]:
        """The ids of the senses of a word or phrase in its dictionary form, the most usual first.

        Args:
            phrase: Words with spaces between them.
            kind: ``'n'``, ``'v'``, ``'a'`` or ``'r'``.
        """
        return self._index[kind].get(phrase.lower().replace(' ', '_'), ())

    def lemmas(self, phrase: str, kind: str) -> tuple[str, ...]:
        """The dictionary forms that a phrase may be an inflection of: itself, irregular ones, and those by ending.

        Of a verb the first word is inflected (``picking up``), of any other the last.
        """
        phrase = phrase.lower()
        if kind == 'v':
            head, _, tail = phrase.partition(' ')
            forms = [f'{form} {tail}'.strip() for form in self._forms(head, kind)]
        else:
            head, _, tail = phrase.rpartition(' ')
            forms = [f'{head} {form}'.strip() for form in self._forms(tail, kind)]
        forms += self._exceptions[kind].get(phrase, ())
        return tuple(dict.fromkeys(form for form in forms if self.senses(form, kind)))

    def _forms(self, word: str, kind: str) -> Iterator[str]:
        yield word
        yield from self._exceptions[kind].get(word, ())
        for ending, instead in _ENDINGS[kind]:
            if word.endswith(ending) and len(word) > len(ending) + 1:
                stem = word.removesuffix(ending)
                yield stem + instead
                if kind == 'v' and not instead and stem[-1] == stem[-2]:  # running, tapping
                    yield stem[:-1]

    @cached_property
    def _index(self) -> dict[str, dict[str, tuple[str, ...]]]:
        index: dict[str, dict[str, tuple[str, ...]]] = {}
        for letter, kind in _FILES.items():
            index[letter] = {}
            for line in (self.folder / f'index.{kind}').read_text(encoding='latin-1').splitlines():
                if not line.startswith(' '):  # the licence
                    fields = line.split()
                    try:
                        index[letter][fields[0]] = tuple(f'{letter}{int(at):08}' for at in fields[-int(fields[2]) :])
                    except (ValueError, IndexError):
                        raise self._broken(f'index.{kind}', line) from None
        return index

    @cached_property
    def _exceptions(self) -> dict[str, dict[str, tuple[str, ...]]]:
        exceptions: dict[str, dict[str, tuple[str, ...]]] = {}
        for letter, kind in _FILES.items():
            lines = (self.folder / f'{kind}.exc').read_text(encoding='latin-1').splitlines()
            fields = ([word.replace('_', ' ') for word in line.split()] for line in lines)
            exceptions[letter] = {words[0]: tuple(words[1:]) for words in fields if len(words) > 1}
        return exceptions

    def _broken(self, file: str, line: str) -> UserError:
        """That a line of a file is none of WordNet's."""
        return UserError(f'{self.folder / file} is no file of WordNet: {shown(line, 60)!r}. {_NEED}.')

    def _read(self, letter: str) -> bytes:
        if letter not in self._data:
            self._data[letter] = (self.folder / f'data.{_FILES[letter]}').read_bytes()
        return self._data[letter]


def _definition(gloss: str) -> str:
    """The definition of a gloss, without the examples in double quotes behind it."""
    return re.split(r'[;:,]?\s*"', gloss.strip())[0].strip(' ;')
